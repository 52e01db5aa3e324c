# SPDX-License-Identifier: Apache-2.0
"""What every exit says of samples and how sure it is, so that any policy can be carried out without a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyguard.arithmetic.entropy import LEVELS, entropy_table, mean_of
from tinyguard.backends import OpenBackend
from tinyguard.backends.choose import exact_host_backend
from tinyguard.graph import Graph
from tinyguard.graph.exit_policy import Policy
from tinyguard.graph.multi_exit import check_exits, exit_tensors, logits_tensors


@dataclass(frozen=True, eq=False)
class Measured:
    """Of N samples and L exits: softmax codes `scores` int8 (N, L, classes), and `margin` int32 (N, L), the
    difference of the two largest logits in codes."""

    scores: np.ndarray
    margin: np.ndarray

    @property
    def exits(self) -> int:
        return int(self.scores.shape[1])

    @property
    def label(self) -> np.ndarray:
        """The class that each exit names, int64 (N, L): the lowest index among equals."""
        return np.asarray(self.scores.argmax(2))

    @property
    def confidence(self) -> np.ndarray:
        """The largest probability in 1/256, int32 (N, L)."""
        return self.scores.max(2).astype(np.int32) + LEVELS // 2

    @property
    def entropy(self) -> np.ndarray:
        """In 1/1024 bit, int32 (N, L)."""
        q = self.scores.astype(np.int32) + LEVELS // 2
        return np.asarray(entropy_table()[q].sum(2, dtype=np.int32))

    @property
    def run(self) -> np.ndarray:
        """How many exits in a row, up to this one, name its class, int64 (N, L)."""
        label, run = self.label, np.ones(self.margin.shape, np.int64)
        for place in range(1, self.exits):
            same = label[:, place] == label[:, place - 1]
            run[:, place] += np.where(same, run[:, place - 1], 0)
        return run

    def of(self, kind: str) -> np.ndarray:
        """What a policy of this kind measures, (N, L), the larger the surer: entropies are negative."""
        return {
            "confidence": lambda: self.confidence,
            "margin": lambda: self.margin,
            "entropy": lambda: -self.entropy,
            "patience": lambda: self.run,
        }[kind]()

    def taken(self, policy: Policy) -> np.ndarray:
        """The exit, from 0, at which each sample is answered, int64 (N,)."""
        leaves = np.zeros(self.margin.shape, bool)
        leaves[:, -1] = True
        if policy.kind != "never":
            thresholds = np.array(policy.thresholds)
            least = -thresholds if policy.kind == "entropy" else thresholds
            leaves[:, :-1] = self.of(policy.kind)[:, :-1] >= least
        return np.asarray(leaves.argmax(1))

    def said(self, kind: str = "taken") -> np.ndarray:
        """The class that is answered at each exit when it is taken, int64 (N, L); `kind` as the record's
        `answer`."""
        if kind == "taken":
            return self.label
        sums = np.cumsum(self.scores.astype(np.int32), axis=1)
        return np.asarray(mean_of(sums, np.arange(1, self.exits + 1)[:, None]).argmax(2))

    def answer(self, policy: Policy, kind: str = "taken") -> np.ndarray:
        """The class that is answered, int64 (N,); `kind` as the record's `answer`."""
        return np.asarray(self.said(kind)[np.arange(len(self.scores)), self.taken(policy)])

    def select(self, rows: np.ndarray) -> Measured:
        """Some of the samples."""
        return Measured(self.scores[rows], self.margin[rows])


def measure(graph: Graph, *codes: np.ndarray, simulator: OpenBackend | None = None) -> Measured:
    """Run a network with exits on input codes (N, *shape), every exit of it.

    Raises TinyguardError for a network without exits.
    """
    check_exits(graph)
    exits = [tensor.index for tensor in exit_tensors(graph)]
    logits = [tensor.index for tensor in logits_tensors(graph)]
    found = (simulator or exact_host_backend(graph)).read([*exits, *logits], *codes)
    scores = np.stack([found[index].reshape(len(codes[0]), -1) for index in exits], 1)
    top = np.stack([np.sort(found[i].reshape(len(codes[0]), -1).astype(np.int32))[:, -2:] for i in logits], 1)
    return Measured(scores, top[:, :, 1] - top[:, :, 0])
