# SPDX-License-Identifier: Apache-2.0
"""The simulator: the device's integer network as a differentiable torch module, bit for bit."""

from __future__ import annotations

import copy
import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch

from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph, Tensor, with_settings
from tinyguard.graph.answer import VERSION, tensors_of
from tinyguard.graph.execute import Step, Steps, check_inputs, execute, outputs_of, resume, values_of
from tinyguard.graph.multi_exit import check_exits
from tinyguard.native.loops import as_floats
from tinyguard.operators import resolve
from tinyguard.operators.dropout import SEED
from tinyguard.simulator.as_module import IntegerModule
from tinyguard.simulator.choose_layer import layer_of
from tinyguard.simulator.layer import Layer
from tinyguard.simulator.logits import LogitsTap
from tinyguard.simulator.pages import keep_pages
from tinyguard.simulator.parallel import even_parts, run_in_parts
from tinyguard.simulator.rules import GRADIENTS, PLAIN, Rules

_ELEMENTS_PER_BATCH = 1 << 15


class Simulator(torch.nn.Module):
    """Input codes to output codes, carried in float32 tensors; backward is straight-through.

    `forward` takes one float32 tensor of whole codes per graph input, shape (N, *tensor.shape[1:]), and
    returns one per graph output. `logits` stops before a final SOFTMAX or LOGISTIC and dequantizes.
    """

    name = "simulator"

    def __init__(self, graph: Graph, batch_size: int = 128) -> None:
        super().__init__()
        self.graph = graph
        self.layers = [layer_of(operator) for operator in resolve(graph)]
        self.batch_size = batch_size
        self.rules = PLAIN
        self.tap = LogitsTap(graph)
        self.before: Callable[[np.ndarray], np.ndarray] | None = None
        self._constants: dict[int, torch.Tensor] = {}
        self._in_bytes: frozenset[int] | None = None
        keep_pages()

    def forward(self, *codes: torch.Tensor) -> tuple[torch.Tensor, ...]:
        check_inputs(self.graph, codes)
        return run_in_parts(self._outputs, codes, exact=True)

    def logits(self, *codes: torch.Tensor) -> torch.Tensor:
        """Real-valued logits (N, classes): the dequantized input of the answer's final SOFTMAX or LOGISTIC,
        or the dequantized answer where it ends otherwise. Of one probability they are (0, x), of exits those
        of the one that is taken."""
        check_inputs(self.graph, codes)
        return run_in_parts(self._logits, codes, exact=True)[0]

    def taps(self, *codes: torch.Tensor) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
        """The outputs of `forward`, without a gradient, and `logits`, with one: one pass for both."""
        check_inputs(self.graph, codes)
        *outputs, logits = run_in_parts(self._taps, codes, exact=True)
        return tuple(y.detach() for y in outputs), logits

    def taps_under(
        self, seeds: Sequence[int], *codes: torch.Tensor
    ) -> list[tuple[tuple[torch.Tensor, ...], torch.Tensor]]:
        """`taps` of the stochastic network under each seed; the layers before the first mask run once."""
        check_inputs(self.graph, codes)
        taps = run_in_parts(functools.partial(self._taps_under, tuple(seeds)), codes, exact=True)
        size = len(self.graph.outputs) + 1
        draws = (taps[start : start + size] for start in range(0, len(taps), size))
        return [(tuple(y.detach() for y in outputs), logits) for *outputs, logits in draws]

    def run_under(self, seeds: Sequence[int], *inputs: np.ndarray) -> list[tuple[np.ndarray, ...]]:
        """`run` of the stochastic network under each seed; the layers before the first mask run once."""
        check_inputs(self.graph, inputs)
        parts: list[list[tuple[torch.Tensor, ...]]] = []
        for start, end in self._batches(inputs):
            batch = (torch.from_numpy(np.ascontiguousarray(x[start:end], np.float32)) for x in inputs)
            with torch.no_grad():
                parts.append([outputs for outputs, _ in self.taps_under(seeds, *batch)])
        dtypes = [self.graph.tensors[index].dtype for index in self.graph.outputs]
        return [
            tuple(
                torch.cat(y).numpy().astype(dtype)
                for y, dtype in zip(zip(*draw, strict=True), dtypes, strict=True)
            )
            for draw in zip(*parts, strict=True)
        ]

    def leaky(self, leak: float) -> Self:
        """The same network, whose clamps let `leak` of the gradient pass where they hold the value.

        Every value stays; only the gradient looks past saturated codes, as a check for masking needs.
        """
        return self._under(replace(self.rules, leak=leak))

    def with_filter_gradient(self, rule: str) -> Self:
        """The same network, whose input filters pass the gradient by `rule`, one of GRADIENTS: "smooth",
        their own or that of a smooth function near them, or "identity", as if they were not there (BPDA)."""
        if rule not in GRADIENTS:
            raise TinyguardError(f"no filter gradient {rule!r}; known: {', '.join(GRADIENTS)}")
        return self._under(replace(self.rules, filter_gradient=rule))

    def seeded(self, seed: int) -> Self:
        """The same stochastic network with masks of another 64-bit seed; any other network as it is."""
        return self.under({SEED: seed}) if self._first_mask < len(self.layers) else self

    def under(self, values: Mapping[str, int | Sequence[int]]) -> Self:
        """The same network with other values of its settings; those left out keep theirs.

        Raises TinyguardError for an unknown name and for a value out of range.
        """
        graph = with_settings(self.graph, values)
        layers = [
            layer_of(type(layer.operator)(graph, layer.node), self.rules) if layer.operator.reads else layer
            for layer in self.layers
        ]
        return self._twin(graph=graph, layers=layers)

    def with_layers(self, graph: Graph, layers: Sequence[Layer]) -> Self:
        """The same network with other constants: `graph` has them, and `layers` carry out its nodes."""
        return self._twin(
            graph=graph,
            layers=[layer.under(self.rules) for layer in layers],
            tap=replace(self.tap, graph=graph),
            _constants={},
            _in_bytes=None,
        )

    def against_detector(self) -> Self:
        """The same network, whose `logits` are what an attacker moves who must fool every squeezed version of
        the input with the raw one: the logarithm of the mean of all their softmax.

        Without feature squeezing it is the network itself.
        """
        if not tensors_of(self.graph, VERSION):
            return self
        return self._twin(tap=LogitsTap(self.graph, aware=True))

    def at_every_exit(self) -> Self:
        """The same network with exits, whose `logits` and `taps` are those of all exits, (N, exits, classes),
        and not of the one that is taken. Raises TinyguardError for a network without exits."""
        check_exits(self.graph)
        return self._twin(tap=replace(self.tap, every_exit=True))

    def after(self, transform: Callable[[np.ndarray], np.ndarray]) -> Self:
        """The same network, given `transform` of its input codes (N, *shape) in their dtype: a defense that
        is in no file. Gradients pass it as if it were not there (BPDA, Athalye et al. 2018)."""
        if len(self.graph.inputs) != 1:
            raise TinyguardError(f"a transform of one input before a network of {len(self.graph.inputs)}")
        return self._twin(before=transform)

    @property
    def filter_gradient(self) -> str:
        """The rule by which input filters pass the gradient."""
        return self.rules.filter_gradient

    @property
    def aware(self) -> bool:
        """Whether `logits` are those of `against_detector`."""
        return self.tap.aware

    @property
    def logits_tensor(self) -> Tensor:
        """The tensor that `logits` reads; in a stochastic network that of the first pass."""
        return self.tap.tensor

    @property
    def ends_in_probabilities(self) -> bool:
        """Whether a SOFTMAX or LOGISTIC makes the answer of the logits."""
        return self.tap.ends_in_probabilities

    def as_module(self, layout: str = "nchw", output: str = "logits") -> IntegerModule:
        """A plain module of this network for ART, Foolbox, torchattacks and the like.

        It takes float32 pixels in [0, 1]: images (N, C, H, W), or (N, H, W, C) with layout "nhwc", inputs of
        other ranks in their own shape. They are rounded to the nearest codes by the normalisation in the
        file's metadata; without one the codes' whole range is [0, 1]. It returns float32 (N, classes):
        `logits`, or with output "scores" the dequantized answer. Raises TinyguardError for other words and
        for several inputs.
        """
        return IntegerModule(self, layout, output)

    def run(self, *inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        """The `Backend` form: integer arrays in and out, a batch at a time."""
        check_inputs(self.graph, inputs)
        dtypes = [self.graph.tensors[index].dtype for index in self.graph.outputs]
        parts = []
        for start, end in self._batches(inputs):
            batch = (torch.from_numpy(np.ascontiguousarray(x[start:end], np.float32)) for x in inputs)
            parts.append([y.numpy() for y in self._answers(*batch)])
        return tuple(
            np.concatenate(pieces).astype(dtype)
            for pieces, dtype in zip(zip(*parts, strict=True), dtypes, strict=True)
        )

    def in_batches(self, *codes: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """`forward` without gradients, a batch at a time."""
        parts = [self._answers(*(x[start:end] for x in codes)) for start, end in self._batches(codes)]
        return tuple(torch.cat(pieces) for pieces in zip(*parts, strict=True))

    def tensors(self, *inputs: np.ndarray) -> dict[int, np.ndarray]:
        """Every computed tensor by its index, shape (N, *tensor.shape), in its own dtype."""
        check_inputs(self.graph, inputs)
        codes = [torch.from_numpy(x.astype(np.float32)) for x in inputs]
        with torch.no_grad():
            return {
                index: as_floats(result).numpy().astype(self.graph.tensors[index].dtype)
                for node, results in self._walk(codes)
                for index, result in zip(node.outputs, results, strict=True)
            }

    def read(self, indices: Sequence[int], *inputs: np.ndarray) -> dict[int, np.ndarray]:
        """Some computed tensors by their indices, as `tensors` gives them, a batch at a time."""
        check_inputs(self.graph, inputs)
        wanted = set(indices)
        parts: dict[int, list[np.ndarray]] = {index: [] for index in indices}
        for start, end in self._batches(inputs):
            codes = [torch.from_numpy(np.ascontiguousarray(x[start:end], np.float32)) for x in inputs]
            with torch.no_grad():
                for node, results in self._walk(codes):
                    for index, result in zip(node.outputs, results, strict=True):
                        if index in wanted:
                            dtype = self.graph.tensors[index].dtype
                            parts[index].append(as_floats(result).numpy().astype(dtype))
        return {index: np.concatenate(pieces) for index, pieces in parts.items()}

    def _twin(self, **changes: Any) -> Self:
        """The same network but for some of its attributes. What the layers have prepared serves both."""
        twin = copy.copy(self)
        for name, value in changes.items():
            setattr(twin, name, value)
        return twin

    def _under(self, rules: Rules) -> Self:
        return self._twin(rules=rules, layers=[layer.under(rules) for layer in self.layers])

    def _outputs(self, *codes: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(map(as_floats, outputs_of(self.graph, self._walk(codes), codes)))

    def _walk(self, codes: Sequence[torch.Tensor]) -> Steps:
        """Codes come as float32 tensors, or without a gradient as bytes; `as_floats` makes those of both."""
        quick = not torch.is_grad_enabled() and all(x.device.type == "cpu" for x in codes)
        steps = self._quick_steps() if quick else [layer.forward for layer in self.layers]
        return execute(self.graph, steps, self._entered(codes), self._constant)

    def _quick_steps(self) -> list[Step]:
        if self._in_bytes is None:
            self._in_bytes = in_bytes(self.graph, self.layers)
        return [
            layer.answer_in_bytes if place in self._in_bytes else layer.answer
            for place, layer in enumerate(self.layers)
        ]

    def _entered(self, codes: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
        """What the first layer gets."""
        if self.before is None:
            return codes
        (x,) = codes
        given = x.detach().numpy().astype(self.graph.tensors[self.graph.inputs[0]].dtype)
        moved = torch.from_numpy(self.before(given).astype(np.float32))
        return (x + (moved - x.detach()),)

    def _logits(self, *codes: torch.Tensor) -> tuple[torch.Tensor]:
        logits: list[torch.Tensor] = []
        for _ in self._watched(self._walk(codes), logits):
            if len(logits) == len(self.tap.indices):
                break
        return (self.tap.joined(logits),)

    def _taps(self, *codes: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self._tapped(self._walk(codes), codes)

    def _taps_under(self, seeds: Sequence[int], *codes: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Outputs and logits of one seed after the other."""
        first, count = self._first_mask, len(self.layers)
        values, taps = values_of(self.graph, self._entered(codes)), list[torch.Tensor]()
        steps = [layer.forward for layer in self.layers]
        before = resume(self.graph, steps, values, self._constant, range(first))
        wanted = {*self.graph.outputs, *self.tap.indices}
        known = [(node, results) for node, results in before if wanted.intersection(node.outputs)]
        for seed in seeds:
            steps = [layer.forward for layer in self.seeded(seed).layers]
            after = resume(self.graph, steps, dict(values), self._constant, range(first, count))
            taps += self._tapped(itertools.chain(known, after), codes)
        return tuple(taps)

    @property
    def _first_mask(self) -> int:
        """Place of the first layer that draws a mask; the number of layers where none does."""
        places = (place for place, layer in enumerate(self.layers) if SEED in layer.operator.reads)
        return next(places, len(self.layers))

    def _tapped(self, steps: Steps, codes: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """The outputs, without a gradient, and the logits."""
        logits: list[torch.Tensor] = []
        outputs = outputs_of(self.graph, self._watched(steps, logits), codes)
        return *(as_floats(y).detach() for y in outputs), self.tap.joined(logits)

    def _watched(self, steps: Steps, logits: list[torch.Tensor]) -> Steps:
        """The steps, their logits added to `logits` in real values."""
        for node, results in steps:
            for index, result in zip(node.outputs, results, strict=True):
                if index in self.tap.indices:
                    logits.append(self.tap.real(result, index))
            yield node, results

    def _answers(self, *codes: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with torch.no_grad():
            return self(*codes)

    def _batches(self, inputs: Sequence[Any]) -> Iterator[tuple[int, int]]:
        """Starts and ends of batches: `batch_size` samples, or more where the inputs are small."""
        elements = sum(math.prod(x.shape[1:]) for x in inputs)
        size = max(self.batch_size, _ELEMENTS_PER_BATCH // max(1, elements))
        return even_parts(len(inputs[0]), size)

    def _constant(self, tensor: Tensor) -> torch.Tensor:
        if tensor.index not in self._constants:
            assert tensor.data is not None
            self._constants[tensor.index] = torch.from_numpy(tensor.data[None].astype(np.float32))
        return self._constants[tensor.index]


def in_bytes(graph: Graph, layers: Sequence[Layer]) -> frozenset[int]:
    """Places of the layers whose codes are quicker carried as bytes: all that read them take these."""
    takers = {index for layer in layers if layer.takes_bytes for index in layer.node.inputs}
    others = {index for layer in layers if not layer.takes_bytes for index in layer.node.inputs}
    quick = takers - others - set(graph.outputs)
    places = enumerate(layers)
    return frozenset(
        place for place, layer in places if layer.makes_bytes and quick.issuperset(layer.node.outputs)
    )
