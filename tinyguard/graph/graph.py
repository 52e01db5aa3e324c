# SPDX-License-Identifier: Apache-2.0
"""The network as data: tensors, nodes and a graph. No I/O, no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from tinyguard.graph.settings import Setting, checked

DTYPE_BYTES = {"int8": 1, "uint8": 1, "bool": 1, "int16": 2, "int32": 4, "int64": 8, "float32": 4}


def sample_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """`shape` without its leading batch of 1, where it has one."""
    return shape[1:] if shape[:1] == (1,) else shape


@dataclass(frozen=True)
class Quantization:
    """Affine quantization: real = scale * (code - zero_point).

    `scales` are float32 values; one entry per tensor, or one per channel along `axis`.
    """

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int = 0

    @property
    def per_channel(self) -> bool:
        return len(self.scales) > 1

    @property
    def scale(self) -> float:
        """The scale of a per-tensor quantization."""
        return self.scales[0]

    @property
    def zero_point(self) -> int:
        """The zero point of a per-tensor quantization."""
        return self.zero_points[0]


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor. `shape` includes the batch, which is 1. `data` is set on constants only."""

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    quantization: Quantization | None = None
    data: np.ndarray | None = None

    @property
    def is_constant(self) -> bool:
        return self.data is not None

    @property
    def elements(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one sample in a batch: without the leading 1, which some outputs have lost."""
        return sample_shape(self.shape)

    @property
    def size_bytes(self) -> int:
        return self.elements * DTYPE_BYTES[self.dtype]

    @property
    def scale(self) -> float:
        """Per-tensor scale (float32 value)."""
        assert self.quantization is not None
        return self.quantization.scale

    @property
    def zero_point(self) -> int:
        """Per-tensor zero point, in codes."""
        assert self.quantization is not None
        return self.quantization.zero_point


@dataclass(frozen=True, eq=False)
class Node:
    """One operator call. `operator` is the TFLite builtin name; an absent optional input is -1.

    `options` holds the builtin options by their schema names, enums as their names
    (for CONV_2D: padding "SAME", stride_w, stride_h, fused_activation_function "RELU", ...).
    """

    index: int
    operator: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, eq=False)
class Graph:
    """A network: nodes in execution order over tensors, with `sha256` of the file it came from.

    `roles` says of tensors what they mean, outputs above all, where somebody has said it. `settings` are what
    layers read when they run, with the values in force. `lengths` maps an output of variable length to the
    int32 output that holds how many of its bytes are used. Whatever lies beyond them means nothing: boards do
    not send it, and back ends are compared on used bytes, the others read as zeros (`clear_unused`).
    """

    tensors: tuple[Tensor, ...]
    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    metadata: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    sha256: str = ""
    roles: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))
    settings: tuple[Setting, ...] = ()
    lengths: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))

    def node_name(self, node: Node) -> str:
        """The name people know a layer by: its first output tensor's."""
        return self.tensors[node.outputs[0]].name if node.outputs else f"{node.operator.lower()}_{node.index}"

    def producer(self, tensor: int) -> Node | None:
        """The node that writes the tensor, or None for inputs and constants."""
        return next((node for node in self.nodes if tensor in node.outputs), None)


def with_settings(graph: Graph, values: Mapping[str, int | Sequence[int]]) -> Graph:
    """The graph with other values in force; settings that `values` leaves out keep theirs.

    Raises TinyguardError for a name that the network does not declare and for a value out of its range.
    """
    changed = checked(graph.settings, values)
    return replace(
        graph, settings=tuple(replace(s, value=changed.get(s.name, s.value)) for s in graph.settings)
    )
