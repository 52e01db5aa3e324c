"""The simulator: the device's integer network as a differentiable torch module, bit for bit."""

from __future__ import annotations

import copy
import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch

from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph, Tensor, with_settings
from tinyguard.graph import answer as answers
from tinyguard.graph.execute import check_inputs, execute, outputs_of, resume, values_of
from tinyguard.native.loops import as_floats
from tinyguard.operators import Operator, resolve
from tinyguard.operators.dropout import SEED
from tinyguard.operators.families.filter import GRADIENTS
from tinyguard.simulator.pages import keep_pages
from tinyguard.simulator.parallel import even_parts, run_in_parts

if TYPE_CHECKING:
    from tinyguard.simulator.as_module import IntegerModule

_ELEMENTS_A_BATCH = 1 << 15
_NO_LOGITS = "the network's answer is one of its inputs; there are no logits"


class Simulator(torch.nn.Module):
    """Input codes to output codes, carried in float32 tensors; backward is straight-through.

    `forward` takes one float32 tensor of whole codes per graph input, shape (N, *tensor.shape[1:]), and
    returns one per graph output. `logits` stops before a final SOFTMAX or LOGISTIC and dequantizes.
    """

    name = "simulator"

    def __init__(self, graph: Graph, batch_size: int = 128) -> None:
        super().__init__()
        self.graph = graph
        self.operators = resolve(graph)
        self.batch_size = batch_size
        self.aware = False
        self.before: Callable[[np.ndarray], np.ndarray] | None = None
        self._constants: dict[int, torch.Tensor] = {}
        self._planned: list[Operator] | None = None
        keep_pages()

    def forward(self, *codes: torch.Tensor) -> tuple[torch.Tensor, ...]:
        check_inputs(self.graph, codes)
        return run_in_parts(self._outputs, codes, exact=True)

    def logits(self, *codes: torch.Tensor) -> torch.Tensor:
        """Real-valued logits (N, classes): the dequantized input of the answer's final SOFTMAX or LOGISTIC,
        or the dequantized answer where it ends otherwise. Of one probability they are (0, x)."""
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
        found = run_in_parts(functools.partial(self._taps_under, tuple(seeds)), codes, exact=True)
        size = len(self.graph.outputs) + 1
        draws = (found[start : start + size] for start in range(0, len(found), size))
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

    def leaky(self, share: float) -> Self:
        """The same network, whose clamps let `share` of the gradient pass where they hold the value.

        Every value stays; only the gradient looks past saturated codes, as a check for masking needs.
        """
        return self._with("leak", share)

    def with_filter_gradient(self, rule: str) -> Self:
        """The same network, whose input filters pass the gradient by `rule`, one of GRADIENTS: "smooth",
        their own or that of a smooth function near them, or "identity", as if they were not there (BPDA)."""
        if rule not in GRADIENTS:
            raise TinyguardError(f"no filter gradient {rule!r}; known: {', '.join(GRADIENTS)}")
        return self._with("gradient", rule)

    def seeded(self, seed: int) -> Self:
        """The same stochastic network with masks of another 64-bit seed; any other network as it is."""
        return (
            self.under({SEED: seed}) if any(SEED in operator.reads for operator in self.operators) else self
        )

    def under(self, values: Mapping[str, int | Sequence[int]]) -> Self:
        """The same network with other values of its settings; those left out keep theirs.

        Raises TinyguardError for an unknown name and for a value out of range.
        """
        twin = copy.copy(self)
        twin.graph = with_settings(self.graph, values)
        in_force = {setting.name: setting.value for setting in twin.graph.settings}
        twin.operators = [copy.copy(operator) for operator in self.operators]
        for operator in twin.operators:
            operator.settings = {name: in_force[name] for name in operator.reads}
        return twin

    def against_detector(self) -> Self:
        """The same network, whose `logits` are what an attacker moves who must fool every squeezed version of
        the input with the raw one: the logarithm of the mean of all their softmax.

        Without feature squeezing it is the network itself.
        """
        if not answers.tensors_of(self.graph, answers.VERSION):
            return self
        twin = copy.copy(self)
        twin.aware = True
        for name in ("_logits_indices", "ends_in_probabilities"):
            twin.__dict__.pop(name, None)
        return twin

    def behind(self, transform: Callable[[np.ndarray], np.ndarray]) -> Self:
        """The same network, given `transform` of its input codes (N, *shape) in their dtype: a defense that
        is in no file. Gradients pass it as if it were not there (BPDA, Athalye et al. 2018)."""
        if len(self.graph.inputs) != 1:
            raise TinyguardError(f"a transform of one input before a network of {len(self.graph.inputs)}")
        twin = copy.copy(self)
        twin.before = transform
        return twin

    @property
    def filter_gradient(self) -> str:
        """The rule by which input filters pass the gradient."""
        return self.operators[0].gradient

    def _with(self, attribute: str, value: Any) -> Self:
        """A twin whose operators differ in one attribute."""
        twin = copy.copy(self)
        twin.operators = [copy.copy(operator) for operator in self.operators]
        for operator in twin.operators:
            setattr(operator, attribute, value)
        return twin

    def as_module(self, layout: str = "nchw", output: str = "logits") -> IntegerModule:
        """A plain module of this network for ART, Foolbox, torchattacks and the like.

        It takes float32 shares of the pixel range, [0, 1]: images (N, C, H, W), or (N, H, W, C) with layout
        "nhwc", inputs of other ranks in their own shape. They are rounded to the nearest codes by the
        normalisation in the file's metadata; without one the codes' whole range is [0, 1]. It returns
        float32 (N, classes): `logits`, or with output "scores" the dequantized answer. Raises
        TinyguardError for other words and for several inputs.
        """
        from tinyguard.simulator.as_module import IntegerModule

        return IntegerModule(self, layout, output)

    def _outputs(self, *codes: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(map(as_floats, outputs_of(self.graph, self._steps(codes), codes)))

    def _steps(self, codes: Sequence[torch.Tensor]) -> Iterator[tuple[Operator, tuple[torch.Tensor, ...]]]:
        """Codes come as float32 tensors, or without a gradient as bytes; `as_floats` makes those of both."""
        quick = not torch.is_grad_enabled() and all(x.device.type == "cpu" for x in codes)
        if quick and self._planned is not self.operators:  # a twin has others
            plan_bytes(self.graph, self.operators)
            self._planned = self.operators
        method = "answer" if quick else "forward"
        return execute(self.graph, self.operators, method, self._entered(codes), self._constant)

    def _entered(self, codes: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
        """What the first layer gets."""
        if self.before is None:
            return codes
        (x,) = codes
        given = x.detach().numpy().astype(self.graph.tensors[self.graph.inputs[0]].dtype)
        moved = torch.from_numpy(self.before(given).astype(np.float32))
        return (x + (moved - x.detach()),)

    def _logits(self, *codes: torch.Tensor) -> tuple[torch.Tensor]:
        wanted, found = self._logits_indices, list[torch.Tensor]()
        for operator, results in self._steps(codes):
            self._keep_logits(operator, results, found)
            if len(found) == len(wanted):
                break
        return (self._joined(found),)

    def _taps(self, *codes: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self._tapped(self._steps(codes), codes)

    def _taps_under(self, seeds: Sequence[int], *codes: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Outputs and logits of one seed after the other."""
        count = len(self.operators)
        first = next((i for i, operator in enumerate(self.operators) if SEED in operator.reads), count)
        values, found = values_of(self.graph, self._entered(codes)), list[torch.Tensor]()
        before = resume(self.graph, self.operators, "forward", values, self._constant, range(first))
        wanted = {*self.graph.outputs, *self._logits_indices}
        known = [step for step in before if wanted.intersection(step[0].node.outputs)]
        for seed in seeds:
            operators, rest = self.seeded(seed).operators, range(first, count)
            behind = resume(self.graph, operators, "forward", dict(values), self._constant, rest)
            found += self._tapped(itertools.chain(known, behind), codes)
        return tuple(found)

    def _tapped(
        self, steps: Iterator[tuple[Operator, tuple[torch.Tensor, ...]]], codes: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, ...]:
        """The outputs, without a gradient, and the logits."""
        found: list[torch.Tensor] = []

        def watched() -> Iterator[tuple[Operator, tuple[torch.Tensor, ...]]]:
            for operator, results in steps:
                self._keep_logits(operator, results, found)
                yield operator, results

        outputs = outputs_of(self.graph, watched(), codes)
        return *(as_floats(y).detach() for y in outputs), self._joined(found)

    def _keep_logits(
        self, operator: Operator, results: tuple[torch.Tensor, ...], found: list[torch.Tensor]
    ) -> None:
        for index, result in zip(operator.node.outputs, results, strict=True):
            if index in self._logits_indices:
                found.append(self._real(result))

    def _joined(self, found: list[torch.Tensor]) -> torch.Tensor:
        """The logits; of several passes or versions the logarithm of the mean of their softmax."""
        if not found:
            raise TinyguardError(_NO_LOGITS)
        return found[0] if len(found) == 1 else mean_network(found)

    def _real(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes of the logits tensor (N, ...) to real values (N, classes)."""
        tensor, codes = self.logits_tensor, as_floats(codes)
        real = (codes - tensor.zero_point) * tensor.scale if tensor.quantization else codes
        real = real.reshape(len(real), -1)
        if answers.answer_role(self.graph) is not answers.PROBABILITY:
            return real
        even = 0.0 if self.ends_in_probabilities else 0.5
        return torch.cat([torch.full_like(real, even), real], 1)

    @property
    def logits_tensor(self) -> Tensor:
        """The tensor that `logits` reads; in a stochastic network that of the first pass."""
        return self.graph.tensors[self._logits_indices[0]]

    @functools.cached_property
    def _logits_indices(self) -> tuple[int, ...]:
        """What `logits` reads: a tensor for each pass, or for each version of the input."""
        return tuple(map(self._before_softmax, self._scores_indices))

    @property
    def _scores_indices(self) -> tuple[int, ...]:
        answer = answers.answer_tensor(self.graph).index
        if self.aware:
            return answer, *answers.tensors_of(self.graph, answers.VERSION)
        return answers.tensors_of(self.graph, answers.PASS) or (answer,)

    @functools.cached_property
    def ends_in_probabilities(self) -> bool:
        """Whether a SOFTMAX or LOGISTIC makes the answer of the logits."""
        return answers.before_ending(self.graph, self._scores_indices[0]) is not None

    def _before_softmax(self, index: int) -> int:
        before = answers.before_ending(self.graph, index)
        producer = self.graph.producer(index)
        while before is None and producer is not None and producer.operator == "DEQUANTIZE":
            index = producer.inputs[0]
            producer = self.graph.producer(index)
        return index if before is None else before

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

    def _answers(self, *codes: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with torch.no_grad():
            return self(*codes)

    def _batches(self, inputs: Sequence[Any]) -> Iterator[tuple[int, int]]:
        """Starts and ends of batches: `batch_size` samples, or more where the inputs are small."""
        elements = sum(math.prod(x.shape[1:]) for x in inputs)
        size = max(self.batch_size, _ELEMENTS_A_BATCH // max(1, elements))
        return even_parts(len(inputs[0]), size)

    def tensors(self, *inputs: np.ndarray) -> dict[int, np.ndarray]:
        """Every computed tensor by its index, shape (N, *tensor.shape), in its own dtype."""
        check_inputs(self.graph, inputs)
        codes = [torch.from_numpy(x.astype(np.float32)) for x in inputs]
        with torch.no_grad():
            return {
                index: as_floats(result).numpy().astype(self.graph.tensors[index].dtype)
                for operator, results in self._steps(codes)
                for index, result in zip(operator.node.outputs, results, strict=True)
            }

    def _constant(self, tensor: Tensor) -> torch.Tensor:
        if tensor.index not in self._constants:
            assert tensor.data is not None
            self._constants[tensor.index] = torch.from_numpy(tensor.data[None].astype(np.float32))
        return self._constants[tensor.index]


def plan_bytes(graph: Graph, operators: Sequence[Operator]) -> None:
    """Set `gives_bytes` of every operator whose codes are quicker carried so, for `answer`."""
    takers = {index for operator in operators if operator.takes_bytes for index in operator.node.inputs}
    others = {index for operator in operators if not operator.takes_bytes for index in operator.node.inputs}
    quick = takers - others - set(graph.outputs)
    for operator in operators:
        operator.gives_bytes = operator.makes_bytes and quick.issuperset(operator.node.outputs)


def mean_network(logits: Sequence[torch.Tensor]) -> torch.Tensor:
    """The logarithm (N, classes) of the mean softmax of several logits (N, classes)."""
    logs = torch.stack([torch.log_softmax(part, 1) for part in logits])
    return torch.logsumexp(logs, 0) - math.log(len(logits))
