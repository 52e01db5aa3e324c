# SPDX-License-Identifier: Apache-2.0
"""Graphs written by hand or drawn at random: the raw material of the operator tests."""

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from tinyguard.graph import Graph, Node, Quantization, Tensor

SCHEMES = ("int8", "int16x8")
ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")
CODE_RANGE = {"int8": (-128, 127), "int16": (-32768, 32767), "int32": (-(2**31), 2**31 - 1)}


def activation_dtype(scheme: str) -> str:
    """The dtype of activations in a scheme."""
    return {"int8": "int8", "int16x8": "int16"}[scheme]


def draw_shape(
    rng: np.random.Generator, rank: int, largest: int = 9, batch: int | None = 1
) -> tuple[int, ...]:
    """A random shape; `batch`, where given, is its first entry."""
    shape = [int(rng.integers(1, largest + 1)) for _ in range(rank)]
    if batch is not None and rank:
        shape[0] = batch
    return tuple(shape)


def draw_scale(rng: np.random.Generator, dtype: str = "int8") -> float:
    """A scale: mostly what networks have, one time in eight from a far wider range."""
    low, high = (-6.0, 1.0) if rng.random() < 0.125 else (-3.0, -0.7)
    scale = 10.0 ** rng.uniform(low, high)
    return float(np.float32(scale / 256 if dtype == "int16" else scale))


def draw_zero_point(rng: np.random.Generator, dtype: str = "int8") -> int:
    """A zero point: an end of the range, the middle or anywhere; always 0 for int16."""
    if dtype != "int8":
        return 0
    return int(rng.choice([-128, 127, 0, int(rng.integers(-128, 128))], p=[0.3, 0.05, 0.15, 0.5]))


def draw_weights(rng: np.random.Generator, shape: Sequence[int], low: int = -127) -> np.ndarray:
    """int8 weights: uniform, bell shaped, sparse, or all at an end of the range."""
    kind = rng.integers(0, 8)
    if kind == 0:
        return rng.choice(np.array([low, 127], np.int8), tuple(shape))
    if kind <= 3:
        return np.clip(np.round(rng.normal(0, 40, tuple(shape))), low, 127).astype(np.int8)
    weights = rng.integers(low, 128, tuple(shape)).astype(np.int8)
    return weights * (rng.random(tuple(shape)) < 0.3).astype(np.int8) if kind == 4 else weights


def quantization(scale: Any, zero_point: Any = 0, axis: int = 0) -> Quantization | None:
    """A Quantization from numbers or from one array entry per channel; None without a scale."""
    if scale is None:
        return None
    scales = tuple(float(np.float32(s)) for s in np.atleast_1d(scale))
    points = tuple(int(z) for z in np.broadcast_to(zero_point, len(scales)))
    return Quantization(scales, points, axis)


class GraphBuilder:
    """Tensors and nodes appended one by one; every method returns tensor indices."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.nodes: list[Node] = []
        self.inputs: list[int] = []

    def _tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: str,
        quantized: Quantization | None,
        data: np.ndarray | None = None,
    ) -> int:
        index = len(self.tensors)
        shape = tuple(int(n) for n in shape)
        self.tensors.append(Tensor(index, f"{name}_{index}", shape, dtype, quantized, data))
        return index

    def input(
        self,
        shape: Sequence[int],
        dtype: str = "int8",
        scale: float | None = None,
        zero_point: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> int:
        """A graph input, batch 1. Scale and zero point not given are drawn when there is a `rng`."""
        assert not shape or shape[0] == 1, f"input of shape {shape}: files with another batch are refused"
        if rng is not None and dtype in ("int8", "int16"):
            scale = draw_scale(rng, dtype) if scale is None else scale
            zero_point = draw_zero_point(rng, dtype) if zero_point is None else zero_point
        index = self._tensor("input", shape, dtype, quantization(scale, zero_point or 0))
        self.inputs.append(index)
        return index

    def constant(self, values: Any, scale: Any = None, zero_point: Any = 0, axis: int = 0) -> int:
        """A constant of the array's own dtype; `scale` may have one entry per channel along `axis`."""
        array = np.asarray(values)
        if array.dtype == np.int64 and scale is None:
            array = array.astype(np.int32)  # shapes, axes and the like; pass a scale for an int64 bias
        return self._tensor(
            "constant", array.shape, str(array.dtype), quantization(scale, zero_point, axis), array
        )

    def node(
        self,
        operator: str,
        inputs: Sequence[int],
        output_shape: Sequence[int],
        dtype: str = "int8",
        scale: float | None = None,
        zero_point: int | None = None,
        **options: Any,
    ) -> int:
        """A node with one output. Options carry their schema names, enums as their names.

        Without a scale the output takes the quantization of the first input.
        """
        return self.node_with_outputs(operator, inputs, [output_shape], dtype, scale, zero_point, **options)[
            0
        ]

    def node_with_outputs(
        self,
        operator: str,
        inputs: Sequence[int],
        output_shapes: Sequence[Sequence[int]],
        dtype: str = "int8",
        scale: float | None = None,
        zero_point: int | None = None,
        **options: Any,
    ) -> list[int]:
        """A node with several outputs, all of one quantization. See `node`."""
        quantized = quantization(scale, zero_point or 0)
        if scale is None and dtype in ("int8", "int16"):
            first = next(self.tensors[i] for i in inputs if i >= 0 and self.tensors[i].dtype == dtype)
            quantized = first.quantization
        outputs = [self._tensor(operator.lower(), shape, dtype, quantized) for shape in output_shapes]
        self.nodes.append(
            Node(len(self.nodes), operator, tuple(inputs), tuple(outputs), MappingProxyType(dict(options)))
        )
        return outputs

    def quantization_of(self, tensor: int) -> tuple[float, int]:
        """Scale and zero point of a tensor."""
        return self.tensors[tensor].scale, self.tensors[tensor].zero_point

    def graph(self, outputs: Sequence[int] | None = None) -> Graph:
        """The graph; without `outputs`, those of the last node."""
        chosen = self.nodes[-1].outputs if outputs is None else tuple(outputs)
        return Graph(tuple(self.tensors), tuple(self.nodes), tuple(self.inputs), chosen)


def draw_samples(graph: Graph, rng: np.random.Generator, random: int = 6) -> list[np.ndarray]:
    """One array (random + 2, *shape) per graph input: random codes, then all-lowest and all-highest."""
    samples = []
    for index in graph.inputs:
        tensor = graph.tensors[index]
        if tensor.dtype == "float32":
            values = np.concatenate(
                [
                    rng.normal(0, 2, (random, *tensor.shape)),
                    *(np.full((1, *tensor.shape), v) for v in (-9, 9)),
                ]
            )
        else:
            low, high = CODE_RANGE[tensor.dtype]
            codes = rng.integers(low, high + 1, (random, *tensor.shape))
            centre = tensor.zero_point if tensor.quantization else 0
            near = np.clip(centre + codes // 16, low, high)  # every other sample stays near zero
            codes[1::2] = near[1::2]
            ends = [np.full((1, *tensor.shape), end) for end in (low, high)]
            values = np.concatenate([codes, *ends])
        samples.append(values.astype(tensor.dtype))
    return samples
