# SPDX-License-Identifier: Apache-2.0
"""Random networks of 3 to 12 operators: branches that join again, shared inputs, several outputs."""

from collections.abc import Callable

import numpy as np

from tests.operators.builder import (
    ACTIVATIONS,
    GraphBuilder,
    activation_dtype,
    draw_zero_point,
)
from tests.operators.cases._sums import draw_sums
from tests.operators.cases.slice import strided_slice
from tinyguard.graph import Graph, Tensor
from tinyguard.operators.families import window

_LARGEST_TENSOR = 1500  # elements
LEAST_NODES, MOST_NODES = 3, 12


class Sketch:
    """A graph in the making. `open` are the activations that nothing reads yet."""

    def __init__(self, rng: np.random.Generator, scheme: str) -> None:
        self.rng = rng
        self.scheme = scheme
        self.dtype = activation_dtype(scheme)
        self.builder = GraphBuilder()
        height, width, depth = (int(n) for n in rng.integers(2, 9, 3))
        for _ in range(int(rng.integers(1, 3))):
            scale, shape = 10.0 ** rng.uniform(-3, -1), (1, height, width, depth)
            if rng.random() < 0.1:
                real = self.builder.input(shape, "float32")
                zero_point = draw_zero_point(rng, self.dtype)
                self.builder.node("QUANTIZE", [real], shape, self.dtype, scale, zero_point)
            else:
                self.builder.input(shape, self.dtype, scale, rng=rng)

    @property
    def activations(self) -> list[Tensor]:
        """Inputs and computed tensors that hold codes."""
        return [t for t in self.builder.tensors if t.data is None and t.dtype == self.dtype]

    @property
    def open(self) -> list[Tensor]:
        read = {i for node in self.builder.nodes for i in node.inputs}
        return [t for t in self.activations if t.index not in read]

    @property
    def unread_inputs(self) -> list[Tensor]:
        return [t for t in self.open if t.index in self.builder.inputs]

    def pick(self, suits: Callable[[Tensor], bool] = lambda t: True) -> Tensor | None:
        """A suitable tensor: three times in four one that nothing reads yet, otherwise any."""
        candidates = self.open if self.rng.random() < 0.75 else self.activations
        found = [t for t in candidates if suits(t)]
        return found[int(self.rng.integers(len(found)))] if found else None

    def place(self, operator: str, inputs: list[int], shape: tuple[int, ...], **options: object) -> None:
        """A node that keeps the quantization of its first input."""
        self.builder.node(operator, inputs, shape, self.dtype, **options)

    def rescaled(
        self, operator: str, inputs: list[int], shape: tuple[int, ...], scale: float, **options: object
    ) -> None:
        """A node with an output scale of its own."""
        zero_point = draw_zero_point(self.rng, self.dtype)
        self.builder.node(operator, inputs, shape, self.dtype, scale, zero_point, **options)

    def constant(self, *values: int) -> int:
        return self.builder.constant(np.array(values, np.int32))

    @property
    def activation(self) -> str:
        return str(self.rng.choice(ACTIVATIONS, p=[0.6, 0.2, 0.1, 0.1]))


def _image(t: Tensor) -> bool:
    return len(t.shape) == 4 and t.shape[0] == 1


def _convolution(s: Sketch) -> None:
    x = s.pick(_image)
    if x is None:
        return
    kernel, stride = (int(n) for n in s.rng.integers(1, 4, 2))
    axes = [window.axis(n, kernel, stride, 1, "SAME") for n in x.shape[1:3]]
    bias = ("int32",) if s.dtype == "int8" else ("int64",)
    options = {"padding": "SAME", "stride_h": stride, "stride_w": stride, "dilation_h_factor": 1}
    options |= {"dilation_w_factor": 1, "fused_activation_function": s.activation}
    if s.rng.random() < 0.4:
        operator, channels = "DEPTHWISE_CONV_2D", x.shape[3]
        sums = draw_sums(s.builder, s.rng, x.index, (1, kernel, kernel, channels), 3, bias_dtypes=bias)
        options["depth_multiplier"] = 1
    else:
        operator, channels = "CONV_2D", int(s.rng.integers(1, 9))
        shape = (channels, kernel, kernel, x.shape[3])
        sums = draw_sums(s.builder, s.rng, x.index, shape, bias_dtypes=bias)
    shape = (1, axes[0].output, axes[1].output, channels)
    s.rescaled(operator, [x.index, *sums.inputs], shape, sums.output_scale, **options)


def _fully_connected(s: Sketch) -> None:
    x = s.pick(lambda t: len(t.shape) == 2)
    if x is None:
        return
    channels = int(s.rng.integers(1, 9))
    bias = ("int32",) if s.dtype == "int8" else ("int64",)
    sums = draw_sums(s.builder, s.rng, x.index, (channels, x.shape[1]), bias_dtypes=bias, per_channel=False)
    s.rescaled(
        "FULLY_CONNECTED",
        [x.index, *sums.inputs],
        (x.shape[0], channels),
        sums.output_scale,
        fused_activation_function=s.activation,
    )


def _pool(s: Sketch) -> None:
    x = s.pick(lambda t: _image(t) and min(t.shape[1:3]) >= 2)
    if x is None:
        return
    s.place(
        str(s.rng.choice(["MAX_POOL_2D", "AVERAGE_POOL_2D"])),
        [x.index],
        (1, x.shape[1] // 2, x.shape[2] // 2, x.shape[3]),
        padding="VALID",
        stride_h=2,
        stride_w=2,
        filter_height=2,
        filter_width=2,
        fused_activation_function="NONE",
    )


def _residual(s: Sketch) -> None:
    """Two tensors of one shape, once in a while the same tensor twice."""
    x = s.pick()
    if x is None:
        return
    partners = [t for t in s.activations if t.shape == x.shape and 1 / 64 < t.scale / x.scale < 64]
    y = partners[int(s.rng.integers(len(partners)))]
    operator = str(s.rng.choice(["ADD", "ADD", "SUB", "MUL"]))
    pair = [x.index, y.index] if s.rng.random() < 0.5 else [y.index, x.index]
    if operator == "MUL":
        scale = x.scale * y.scale * 2.0 ** s.rng.uniform(2, 8 if s.dtype == "int8" else 16)
    else:
        scale = max(x.scale, y.scale) * 2.0 ** s.rng.uniform(-1, 2)
    options: dict[str, object] = {"fused_activation_function": s.activation if scale > 1e-7 else "NONE"}
    if operator != "MUL":
        options["pot_scale_int16"] = False
    s.rescaled(operator, pair, x.shape, scale, **options)


def _pointwise(s: Sketch) -> None:
    x = s.pick()
    if x is None:
        return
    operator = str(s.rng.choice(["RELU", "LOGISTIC", "TANH", "ABS", "QUANTIZE"]))
    if operator in ("LOGISTIC", "TANH"):
        if not -3 < np.log2(x.scale * (128 if s.dtype == "int8" else 32768)) < 5:
            return
        ends = {"LOGISTIC": (2.0**-8, -128), "TANH": (2.0**-7, 0)}
        scale, zero_point = ends[operator] if s.dtype == "int8" else (2.0**-15, 0)
        s.builder.node(operator, [x.index], x.shape, s.dtype, scale, zero_point)
    else:
        s.rescaled(operator, [x.index], x.shape, x.scale * 2.0 ** s.rng.uniform(-1, 1))


def _concatenation(s: Sketch) -> None:
    """Along the last axis; what has another quantization is requantized first, as converters do."""
    x = s.pick(lambda t: len(t.shape) > 1)
    if x is None:
        return
    partners = [t for t in s.activations if t.shape[:-1] == x.shape[:-1]]
    chosen = [x, *(partners[int(s.rng.integers(len(partners)))] for _ in range(int(s.rng.integers(1, 3))))]
    quantization = s.builder.quantization_of(x.index)
    inputs = []
    for t in chosen:
        index = t.index
        if s.builder.quantization_of(index) != quantization:
            if not 1 / 64 < t.scale / x.scale < 64:
                return
            index = s.builder.node("QUANTIZE", [index], t.shape, s.dtype, *quantization)
        inputs.append(index)
    if all(t.shape == x.shape for t in chosen) and s.rng.random() < 0.3 and len(x.shape) < 5:
        shape = (x.shape[0], len(inputs), *x.shape[1:])
        s.place("PACK", inputs, shape, values_count=len(inputs), axis=1)
    else:
        depth = sum(t.shape[-1] for t in chosen)
        s.place("CONCATENATION", inputs, (*x.shape[:-1], depth), axis=-1)


def _split(s: Sketch) -> None:
    x = s.pick(lambda t: t.shape[-1] >= 2)
    if x is None:
        return
    parts = int(s.rng.choice([n for n in range(2, x.shape[-1] + 1) if x.shape[-1] % n == 0]))
    shape = (*x.shape[:-1], x.shape[-1] // parts)
    axis = s.builder.constant(np.array(len(x.shape) - 1, np.int32))
    s.builder.node_with_outputs(
        "SPLIT",
        [axis, x.index],
        [shape] * parts,
        s.dtype,
        *s.builder.quantization_of(x.index),
        num_splits=parts,
    )


def _view(s: Sketch) -> None:
    x = s.pick()
    if x is None:
        return
    kind = s.rng.integers(0, 3)
    if kind == 0:
        shape = (1, x.elements)
        s.place("RESHAPE", [x.index, s.constant(*shape)], shape, new_shape=list(shape))
    elif kind == 1 and len(x.shape) < 4:
        axis = int(s.rng.integers(0, len(x.shape) + 1))
        shape = (*x.shape[:axis], 1, *x.shape[axis:])
        s.place("EXPAND_DIMS", [x.index, s.builder.constant(np.array(axis, np.int32))], shape)
    elif _image(x):
        shape = (1, x.shape[1] * x.shape[2], 1, x.shape[3])
        s.place("RESHAPE", [x.index, s.constant(*shape)], shape, new_shape=list(shape))


def _movement(s: Sketch) -> None:
    x = s.pick(lambda t: len(t.shape) <= 4)
    if x is None:
        return
    rank = len(x.shape)
    kind = s.rng.integers(0, 4)
    if kind == 0:
        order = [0, *(1 + s.rng.permutation(rank - 1))]
        s.place("TRANSPOSE", [x.index, s.constant(*order)], tuple(x.shape[p] for p in order))
    elif kind == 1:
        widths = s.rng.integers(0, 3, (rank, 2))
        widths[0] = 0
        shape = tuple(n + int(w.sum()) for n, w in zip(x.shape, widths, strict=True))
        s.place("PAD", [x.index, s.builder.constant(widths.astype(np.int32))], shape)
    elif kind == 2 and x.elements > 8:
        strided_slice(s.builder, s.rng, x.index, x.shape)
    elif _image(x):
        size = tuple(int(n) for n in s.rng.integers(1, 9, 2))
        s.place(
            "RESIZE_NEAREST_NEIGHBOR",
            [x.index, s.constant(*size)],
            (1, *size, x.shape[3]),
            align_corners=False,
            half_pixel_centers=bool(s.rng.random() < 0.5),
        )


def _reduction(s: Sketch) -> None:
    x = s.pick(_image)
    if x is None:
        return
    keep = bool(s.rng.random() < 0.5)
    shape = (1, 1, 1, x.shape[3]) if keep else (1, x.shape[3])
    s.rescaled(
        "MEAN", [x.index, s.constant(1, 2)], shape, x.scale * 2.0 ** s.rng.uniform(-1, 0), keep_dims=keep
    )


_STEPS: tuple[tuple[Callable[[Sketch], None], float], ...] = (
    (_convolution, 4),
    (_fully_connected, 2),
    (_pool, 2),
    (_residual, 4),
    (_pointwise, 3),
    (_concatenation, 4),
    (_split, 2),
    (_view, 3),
    (_movement, 3),
    (_reduction, 1),
)


def draw_graph(rng: np.random.Generator, scheme: str) -> Graph:
    """A random graph; every input is read, and every tensor that nothing reads is an output."""
    s = Sketch(rng, scheme)
    weights = np.array([weight for _, weight in _STEPS])
    wanted = int(rng.integers(LEAST_NODES, MOST_NODES + 1))
    while len(s.builder.nodes) + len(s.unread_inputs) < wanted:
        tensors, nodes = len(s.builder.tensors), len(s.builder.nodes)
        _STEPS[int(rng.choice(len(_STEPS), p=weights / weights.sum()))][0](s)
        odd = any(not 1 <= len(t.shape) <= 5 or t.elements > _LARGEST_TENSOR for t in s.activations)
        if odd or len(s.builder.nodes) + len(s.unread_inputs) > MOST_NODES:
            del s.builder.tensors[tensors:], s.builder.nodes[nodes:]
    for tensor in s.unread_inputs:  # float inputs are read from the start
        s.rescaled("RELU", [tensor.index], tensor.shape, tensor.scale)
    outputs = [t.index for t in s.open]
    if rng.random() < 0.15 and len(s.builder.nodes) < MOST_NODES:
        outputs[0] = s.builder.node(
            "DEQUANTIZE", [outputs[0]], s.builder.tensors[outputs[0]].shape, "float32"
        )
    computed = [t.index for t in s.activations if t.index not in (*s.builder.inputs, *outputs)]
    if computed and rng.random() < 0.3:  # an output that later layers read as well
        outputs.append(int(rng.choice(computed)))
    return s.builder.graph([int(i) for i in rng.permutation(outputs)])
