# SPDX-License-Identifier: Apache-2.0
"""What every operator is: one node with its arithmetic resolved, in NumPy and in C."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Protocol

import numpy as np

from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph, Node, Tensor
from tinyguard.operators.target import Target

if TYPE_CHECKING:
    import torch

CODE_RANGE = {"int8": (-128, 127), "int16": (-32768, 32767), "int32": (-(2**31), 2**31 - 1)}
C_TYPE = {"int8": "int8_t", "int16": "int16_t", "int32": "int32_t", "int64": "int64_t", "float32": "float"}


class Unsupported(Exception):  # noqa: N818 (a reason, gathered with others into one error)
    """This node cannot be run; the message is a lower-case reason without the layer's name."""


class Emission(Protocol):
    """What an operator may ask of the code generator while it prints its C."""

    @property
    def target(self) -> Target:
        """Instruction set, goal and kernel provider to print for."""

    def input(self, index: int) -> str:
        """C expression, a `const T *`, of input `index`: arena or constant array."""

    def output(self, index: int = 0) -> str:
        """C expression, a `T *`, of output `index`."""

    def scratch(self) -> str:
        """C expression, a `void *` aligned to 16, of `scratch_bytes` of arena."""

    def constant(self, role: str, values: np.ndarray, note: str = "") -> str:
        """Declare a constant array of this layer (int8, uint8, int16, int32, int64, float32); its C name."""

    def kernel(self, header: str) -> None:
        """Include a header of firmware/kernels; an operator of another package uses `function`."""

    def setting(self, name: str) -> str:
        """C expression of a setting in the arena: `uint32_t *`, low word first, of a "uint64", else
        `const int32_t *`, an entry each."""

    def function(self, name: str, text: str) -> None:
        """Define a static function of this file, once per file: equal names stand for equal texts."""


def c_shape(kind: str, **fields: int) -> str:
    """C declaration of the constant struct `shape` that a kernel takes, wrapped to readable lines."""
    lines, line = [], "   "
    for name, value in fields.items():
        entry = f" .{name} = {value},"
        if len(line) + len(entry) > 100:
            lines.append(line)
            line = "   "
        line += entry
    return "\n".join([f"static const {kind} shape = {{", *lines, line, "};"])


class Operator(ABC):
    """One node with everything its arithmetic needs.

    Arrays: `run` takes one array per node input, shape (N, *tensor.shape), where N is the number of
    samples; constants come with N = 1 and an absent optional input is None. It returns
    one array per output, shape (N, *tensor.shape). The graph's own batch of 1 stays in tensor.shape.
    """

    names: ClassVar[tuple[str, ...]] = ()  # TFLite builtin names; empty on abstract classes
    in_file: ClassVar[bool] = True  # whether a .tflite file may hold it; input filters come from the metadata
    reads: ClassVar[tuple[str, ...]] = ()  # names of the settings that it reads when it runs

    def __init__(self, graph: Graph, node: Node) -> None:
        self.node = node
        self.name = graph.node_name(node)
        self.inputs: tuple[Tensor | None, ...] = tuple(
            graph.tensors[index] if index >= 0 else None for index in node.inputs
        )
        self.outputs: tuple[Tensor, ...] = tuple(graph.tensors[index] for index in node.outputs)
        in_force = {setting.name: setting.value for setting in graph.settings}
        for name in self.reads:
            self.require(
                name in in_force, f"it reads the setting {name!r}, which the network does not declare"
            )
        self.settings = {name: in_force[name] for name in self.reads}
        self.prepare()

    @abstractmethod
    def prepare(self) -> None:
        """Check shapes, types and options and compute the parameters; raise Unsupported."""

    @abstractmethod
    def run(self, *inputs: np.ndarray | None) -> tuple[np.ndarray, ...]:
        """Exact result in codes, in the output tensors' dtypes. NumPy only."""

    @abstractmethod
    def emit(self, c: Emission) -> str:
        """C statements that compute the outputs; every shape and parameter a literal constant."""

    def surrogate(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        """Differentiable real-valued output codes, before rounding and clamping, from input codes.

        For operators of other packages, which have no layer in `simulator`. Raises TinyguardError where an
        operator has neither: then its network can only be attacked without gradients.
        """
        del inputs
        raise TinyguardError(
            f"{self.node.operator} '{self.name}' has no gradient: attack with --setting black-box"
        )

    @property
    def clamp(self) -> tuple[int, int]:
        """Lowest and highest output code; outside them no gradient passes."""
        return CODE_RANGE.get(self.outputs[0].dtype, (-(2**31), 2**31 - 1))

    @property
    def macs(self) -> int:
        """Multiply-accumulates per inference."""
        return 0

    def scratch_bytes(self, target: Target) -> int:
        """Arena the kernel needs while it runs on `target`, beyond inputs and outputs."""
        del target
        return 0

    @property
    def in_place(self) -> tuple[int, ...]:
        """Inputs that output 0 may overwrite: element i is read before element i is written, and
        never after. The planner uses it only where that input dies and has the output's size."""
        return ()

    @property
    def carried(self) -> dict[int, int]:
        """Outputs that always lie in the memory of an input, output -> input: what the runtime leaves there
        when it stops before this layer is what the layer would have left. Only a graph that has the input
        among its outputs keeps both."""
        return {}

    @property
    def is_view(self) -> bool:
        """True when output 0 is input 0's bytes under another shape: no code, shared memory."""
        return False

    # -- for prepare() ---------------------------------------------------------------------------

    def fail(self, reason: str) -> NoReturn:
        raise Unsupported(reason)

    def require(self, condition: bool, reason: str) -> None:
        if not condition:
            raise Unsupported(reason)

    def option(self, name: str, default: Any = None) -> Any:
        """A builtin option by its schema name."""
        return self.node.options.get(name, default)

    def setting(self, name: str) -> tuple[int, ...]:
        """The value in force of a setting, one of `reads`: an entry, or as many as an array has."""
        return self.settings[name]

    def input_tensor(self, index: int) -> Tensor:
        """Input `index`, which must be there."""
        tensor = self.inputs[index] if index < len(self.inputs) else None
        if tensor is None:
            raise Unsupported(f"input {index} is missing")
        return tensor

    def constant_input(self, index: int) -> np.ndarray:
        """The values of input `index`, which must be a constant."""
        tensor = self.input_tensor(index)
        if tensor.data is None:
            raise Unsupported(f"input {index} is computed, and must be a constant")
        return tensor.data

    def require_codes(self, *tensors: Tensor) -> None:
        """int8 or int16 tensors, all of one type, quantized per tensor; int16 with zero point 0."""
        for tensor in tensors:
            kind, quantization = tensor.dtype, tensor.quantization
            self.require(kind in ("int8", "int16"), f"{kind} '{tensor.name}', int8 or int16 is needed")
            self.require(kind == tensors[0].dtype, f"mixed types {tensors[0].dtype} and {kind}")
            if quantization is None or quantization.per_channel:
                self.fail(f"'{tensor.name}' is not quantized per tensor")
            elif kind == "int16":
                self.require(quantization.zero_point == 0, f"int16 '{tensor.name}' with a zero point")

    def activation_range(self, output: Tensor) -> tuple[int, int]:
        """Clamping codes of the fused activation, as TFLite's CalculateActivationRangeQuantized.

        The options clamp_low and clamp_high, which only passes set, stand in its place.
        """
        if self.option("clamp_low") is not None:
            return int(self.option("clamp_low")), int(self.option("clamp_high"))
        low, high = CODE_RANGE[output.dtype]
        scale, zero_point = np.float32(output.scale), output.zero_point

        def code(real: float) -> int:
            quotient = np.float32(real) / scale  # TFLite divides in float32 and rounds half away
            self.require(bool(abs(quotient) < 2**31), f"output scale {scale:g} too small for its activation")
            return zero_point + int(np.sign(quotient) * np.floor(np.abs(quotient) + np.float32(0.5)))

        activation = self.option("fused_activation_function", "NONE")
        if activation == "NONE":
            return low, high
        if activation == "RELU":
            return max(low, code(0.0)), high
        if activation == "RELU6":
            return max(low, code(0.0)), min(high, code(6.0))
        if activation == "RELU_N1_TO_1":
            return max(low, code(-1.0)), min(high, code(1.0))
        return self.fail(f"fused activation {activation}")
