# SPDX-License-Identifier: Apache-2.0
"""The logits of a network: which tensors they are, and what several passes or versions say together."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph, Tensor
from tinyguard.graph import answer as answers
from tinyguard.graph.multi_exit import TAKEN
from tinyguard.native.loops import as_floats

_NO_LOGITS = "the network's answer is one of its inputs; there are no logits"


@dataclass(frozen=True, eq=False)
class LogitsTap:
    """What `Simulator.logits` reads: the tensors before a final SOFTMAX or LOGISTIC, which saturates.

    In a stochastic network they are those of every pass; `aware` of feature squeezing those of every squeezed
    version of the input too. In a network with exits they are those of the exit that is taken, or with
    `every_exit` those of all, (N, exits, classes).
    """

    graph: Graph
    aware: bool = False
    every_exit: bool = False

    @functools.cached_property
    def indices(self) -> tuple[int, ...]:
        """The tensors' indices: one for each pass, version of the input or exit, and the decision that
        chooses among exits."""
        logits = tuple(map(self._before_softmax, self._scores))
        return logits if self._decision is None or self.every_exit else (*logits, self._decision)

    @property
    def tensor(self) -> Tensor:
        """The first of them."""
        return self.graph.tensors[self.indices[0]]

    @functools.cached_property
    def ends_in_probabilities(self) -> bool:
        """Whether a SOFTMAX or LOGISTIC makes the answer of the logits."""
        return answers.before_ending(self.graph, self._scores[0]) is not None

    @functools.cached_property
    def _scores(self) -> tuple[int, ...]:
        answer = answers.answer_tensor(self.graph).index
        if self._decision is not None:
            return answers.tensors_of(self.graph, answers.EXIT)
        if self.aware:
            return answer, *answers.tensors_of(self.graph, answers.VERSION)
        return answers.tensors_of(self.graph, answers.PASS) or (answer,)

    @functools.cached_property
    def _decision(self) -> int | None:
        """The tensor of the last decision, in a network with exits."""
        return next(reversed(answers.tensors_of(self.graph, answers.DECISION)), None)

    def _before_softmax(self, index: int) -> int:
        before = answers.before_ending(self.graph, index)
        producer = self.graph.producer(index)
        while before is None and producer is not None and producer.operator == "DEQUANTIZE":
            index = producer.inputs[0]
            producer = self.graph.producer(index)
        return index if before is None else before

    def real(self, codes: torch.Tensor, index: int) -> torch.Tensor:
        """Codes (N, ...) of one of the tensors to real values (N, classes); of one probability (0, x). A
        decision stays as it is."""
        tensor, codes = self.graph.tensors[index], as_floats(codes)
        real = (codes - tensor.zero_point) * tensor.scale if tensor.quantization else codes
        real = real.reshape(len(real), -1)
        if answers.answer_role(self.graph) is not answers.PROBABILITY:
            return real
        even = 0.0 if self.ends_in_probabilities else 0.5
        return torch.cat([torch.full_like(real, even), real], 1)

    def joined(self, logits: Sequence[torch.Tensor]) -> torch.Tensor:
        """The logits; of several passes or versions the logarithm of the mean of their softmax; of exits
        those of the one taken, or all of them.

        Raises TinyguardError where the network computes none.
        """
        if not logits:
            raise TinyguardError(_NO_LOGITS)
        if self.every_exit:
            return torch.stack(list(logits), 1)
        if self._decision is not None:
            *exits, decision = logits
            taken = decision.detach().reshape(len(decision), -1)[:, TAKEN].long() - 1
            return torch.stack(exits, 1)[torch.arange(len(taken)), taken]
        return logits[0] if len(logits) == 1 else mean_network(logits)


def mean_network(logits: Sequence[torch.Tensor]) -> torch.Tensor:
    """The logarithm (N, classes) of the mean softmax of several logits (N, classes)."""
    logs = torch.stack([torch.log_softmax(part, 1) for part in logits])
    return torch.logsumexp(logs, 0) - math.log(len(logits))
