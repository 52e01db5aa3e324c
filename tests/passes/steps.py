# SPDX-License-Identifier: Apache-2.0
"""The layers that random networks for passes are drawn from: padding, lone clamps, branches, idle nodes."""

from collections.abc import Callable

import numpy as np

from tests.operators.builder import GraphBuilder, activation_dtype, draw_zero_point
from tests.operators.cases._sums import draw_sums
from tinyguard.graph import Tensor
from tinyguard.operators.families import window


class Network:
    """A graph in the making; `last` is the activation that the next layer reads."""

    def __init__(self, rng: np.random.Generator, scheme: str) -> None:
        self.rng = rng
        self.dtype = activation_dtype(scheme)
        self.builder = GraphBuilder()
        height, width = (int(n) for n in rng.integers(3, 9, 2))
        shape = (1, height, width, int(rng.integers(1, 5)))
        self.last = self.builder.input(shape, self.dtype, 10.0 ** rng.uniform(-3, -1), rng=rng)

    def tensor(self, index: int | None = None) -> Tensor:
        return self.builder.tensors[self.last if index is None else index]

    def zero_point(self) -> int:
        return draw_zero_point(self.rng, self.dtype)

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def numbers(self, *values: int) -> int:
        return self.builder.constant(np.array(values, np.int32))

    def place(self, operator: str, inputs: list[int], shape: tuple[int, ...], **options: object) -> int:
        """A node that keeps the quantization of its first input."""
        quantization = self.builder.quantization_of(inputs[0])
        self.last = self.builder.node(operator, inputs, shape, self.dtype, *quantization, **options)
        return self.last


def convolution(
    n: Network,
    channels: int | None = None,
    kernel: int | None = None,
    quantization: tuple[float, int] | None = None,
    multiplier: int | None = None,
    stride: int | None = None,
) -> int:
    """CONV_2D, or with a `multiplier` DEPTHWISE_CONV_2D; nothing given is drawn."""
    x, rng = n.tensor(), n.rng
    kernel = int(rng.choice([1, 2, 3])) if kernel is None else kernel
    stride = 1 + int(rng.random() < 0.2) if stride is None else stride
    fits = min(x.shape[1:3]) >= kernel
    padding = "VALID" if fits and rng.random() < 0.4 else "SAME"
    rows, columns = (window.axis(size, kernel, stride, 1, padding) for size in x.shape[1:3])
    options = {"padding": padding, "stride_h": stride, "stride_w": stride, "dilation_h_factor": 1}
    options |= {"dilation_w_factor": 1, "fused_activation_function": str(rng.choice(["NONE", "RELU"]))}
    bias: tuple[str | None, ...] = ("int32", "int32", None) if n.dtype == "int8" else ("int64", None)
    if multiplier is None:
        channels = int(rng.integers(2, 9)) if channels is None else channels
        operator, shape, axis = "CONV_2D", (channels, kernel, kernel, x.shape[3]), 0
    else:
        channels = x.shape[3] * multiplier
        operator, shape, axis = "DEPTHWISE_CONV_2D", (1, kernel, kernel, channels), 3
        options["depth_multiplier"] = multiplier
    sums = draw_sums(n.builder, rng, x.index, shape, axis, bias_dtypes=bias)
    scale, zero_point = quantization or (sums.output_scale, n.zero_point())
    scale = max(scale, sums.output_scale)
    if n.dtype == "int8" and rng.random() < 0.4:
        zero_point = -128 if quantization is None else zero_point
    outputs = (1, rows.output, columns.output, channels)
    n.last = n.builder.node(
        operator,
        [x.index, *sums.inputs],
        outputs,
        n.dtype,
        max(scale, sums.output_scale),
        zero_point,
        **options,
    )
    return n.last


def depthwise(n: Network) -> None:
    convolution(n, multiplier=int(n.rng.choice([1, 1, 1, 2, 3])))


def pointwise(n: Network) -> None:
    convolution(n, kernel=1, stride=1)


def padded(n: Network) -> None:
    """PAD, or PADV2 with the zero point or another value, before a convolution or a pool."""
    x, rng = n.tensor(), n.rng
    widths = np.zeros((4, 2), np.int32)
    widths[1:3] = rng.integers(0, 3, (2, 2))
    shape = tuple(int(size + sum(w)) for size, w in zip(x.shape, widths, strict=True))
    inputs = [x.index, n.builder.constant(widths)]
    operator = "PAD"
    if n.chance(0.4):
        operator = "PADV2"
        low = -128 if n.dtype == "int8" else -32768
        value = int(rng.choice([x.zero_point, low]))
        inputs.append(n.builder.constant(np.array([value], n.dtype), x.scale, x.zero_point))
    n.place(operator, inputs, shape)
    kind = rng.integers(0, 3)
    if kind == 2:
        pool(n)
    else:
        convolution(n, multiplier=None if kind else 1)


def pool(n: Network) -> None:
    x = n.tensor()
    kernel, stride = (int(k) for k in n.rng.integers(1, 4, 2))
    padding = str(n.rng.choice(["SAME", "VALID"])) if min(x.shape[1:3]) >= kernel else "SAME"
    rows, columns = (window.axis(size, kernel, stride, 1, padding) for size in x.shape[1:3])
    n.place(
        str(n.rng.choice(["MAX_POOL_2D", "AVERAGE_POOL_2D"])),
        [x.index],
        (1, rows.output, columns.output, x.shape[3]),
        padding=padding,
        stride_h=stride,
        stride_w=stride,
        filter_height=kernel,
        filter_width=kernel,
        fused_activation_function="NONE",
    )


def lone_clamp(n: Network) -> None:
    """A clamp of its own, mostly between tensors of one quantization."""
    x = n.tensor()
    kinds = ["RELU", "RELU6", "MAXIMUM", "MINIMUM"]
    kind = str(n.rng.choice(kinds if x.scale > 1e-7 else kinds[2:]))
    if kind in ("MAXIMUM", "MINIMUM"):
        value = np.full((1,) * len(x.shape), int(n.rng.integers(-100, 100)), n.dtype)
        bound = n.builder.constant(value, x.scale, x.zero_point)
        n.place(kind, [x.index, bound] if n.chance(0.5) else [bound, x.index], x.shape)
    elif n.chance(0.8):
        n.place(kind, [x.index], x.shape)
    else:
        n.last = n.builder.node(kind, [x.index], x.shape, n.dtype, x.scale * 1.5, n.zero_point())


def residual(n: Network) -> None:
    """Two branches that meet in ADD, SUB or MUL; one may be the block's input, or a constant."""
    x, rng = n.tensor(), n.rng
    channels = int(rng.integers(2, 9))
    first = x.index
    if n.chance(0.6):
        first = convolution(n, channels, kernel=1, stride=1)
        n.last = x.index
    channels = n.tensor(first).shape[3]
    if n.chance(0.2):
        shape = (channels,) if n.chance(0.5) else n.tensor(first).shape
        scale = n.tensor(first).scale
        second = n.builder.constant(rng.integers(-100, 100, shape).astype(n.dtype), scale, n.zero_point())
    else:
        convolution(n, channels, kernel=1, stride=1)
        if n.chance(0.5):
            n.last = depthwise_same(n)
        second = n.last
    scales = n.tensor(first).scale, n.tensor(second).scale
    operator = str(rng.choice(["ADD", "ADD", "SUB", "MUL"]))
    options: dict[str, object] = {"fused_activation_function": "NONE"}
    scale = max(scales) * 1.5
    if operator == "MUL":
        scale = scales[0] * scales[1] * (64 if n.dtype == "int8" else 16384)
    else:
        options["pot_scale_int16"] = False
    n.last = n.builder.node(
        operator, [first, second], n.tensor(first).shape, n.dtype, scale, n.zero_point(), **options
    )


def depthwise_same(n: Network) -> int:
    x = n.tensor()
    sums = draw_sums(n.builder, n.rng, x.index, (1, 3, 3, x.shape[3]), 3, bias_dtypes=bias_types(n))
    options = {"padding": "SAME", "stride_h": 1, "stride_w": 1, "depth_multiplier": 1}
    options |= {"dilation_h_factor": 1, "dilation_w_factor": 1, "fused_activation_function": "RELU"}
    return n.builder.node(
        "DEPTHWISE_CONV_2D",
        [x.index, *sums.inputs],
        x.shape,
        n.dtype,
        sums.output_scale,
        -128 if n.dtype == "int8" else 0,
        **options,
    )


def bias_types(n: Network) -> tuple[str, ...]:
    return ("int32",) if n.dtype == "int8" else ("int64",)


def concatenation(n: Network) -> None:
    """Branches side by side on some axis: convolutions of one input, itself, or constants."""
    x, rng = n.tensor(), n.rng
    quantization = (x.scale * 4, n.zero_point())
    parts = []
    for _ in range(int(rng.integers(1, 4))):
        n.last = x.index
        channels = int(rng.integers(1, 6))
        sums = draw_sums(n.builder, rng, x.index, (channels, 1, 1, x.shape[3]), bias_dtypes=bias_types(n))
        parts.append((sums, channels))
    scale = max(quantization[0], *(sums.output_scale for sums, _ in parts))
    options = {"padding": "SAME", "stride_h": 1, "stride_w": 1, "dilation_h_factor": 1}
    options |= {"dilation_w_factor": 1, "fused_activation_function": str(rng.choice(["NONE", "RELU"]))}
    inputs = []
    for sums, channels in parts:
        shape = (*x.shape[:3], channels)
        inputs.append(
            n.builder.node(
                "CONV_2D", [x.index, *sums.inputs], shape, n.dtype, scale, quantization[1], **options
            )
        )
    if n.chance(0.2):
        values = rng.integers(-100, 100, (*x.shape[:3], 2)).astype(n.dtype)
        inputs.append(n.builder.constant(values, scale, quantization[1]))
    if n.chance(0.3):
        inputs.append(inputs[0])
    depth = sum(n.tensor(i).shape[3] for i in inputs)
    n.place("CONCATENATION", inputs, (*x.shape[:3], depth), axis=-1 if n.chance(0.5) else 3)


def per_channel(n: Network) -> None:
    """PRELU (int8), or a product with one constant per channel."""
    x, rng = n.tensor(), n.rng
    values = n.builder.constant(rng.integers(-127, 128, x.shape[-1:]).astype(n.dtype), 0.01)
    if n.dtype == "int8" and n.chance(0.5):
        n.last = n.builder.node("PRELU", [x.index, values], x.shape, n.dtype, x.scale, n.zero_point())
    else:
        scale = x.scale * (0.5 if n.dtype == "int8" else 100)
        n.last = n.builder.node(
            "MUL",
            [x.index, values],
            x.shape,
            n.dtype,
            scale,
            n.zero_point(),
            fused_activation_function="NONE",
        )


def idle(n: Network) -> None:
    """Nodes that do nothing, or nothing but give the bytes another shape."""
    x = n.tensor()
    kind = n.rng.integers(0, 8)
    if kind == 0:
        n.place("QUANTIZE", [x.index], x.shape)
    elif kind == 1:
        n.place("TRANSPOSE", [x.index, n.numbers(0, 1, 2, 3)], x.shape)
    elif kind == 2:
        n.place("CONCATENATION", [x.index], x.shape, axis=1)
    elif kind == 3:
        begin, end, ones = n.numbers(0, 0, 0, 0), n.numbers(*x.shape), n.numbers(1, 1, 1, 1)
        n.place("STRIDED_SLICE", [x.index, begin, end, ones], x.shape)
    elif kind == 4:
        n.place("PAD", [x.index, n.builder.constant(np.zeros((4, 2), np.int32))], x.shape)
    else:
        for shape in ((1, x.elements), (x.elements,), (1, x.shape[1] * x.shape[2], x.shape[3]), x.shape):
            n.place("RESHAPE", [n.last, n.numbers(*shape)], shape, new_shape=list(shape))


def resize(n: Network) -> None:
    x = n.tensor()
    size = tuple(int(s) for s in n.rng.integers(2, 7, 2)) if n.chance(0.7) else x.shape[1:3]
    options = {"align_corners": False, "half_pixel_centers": n.chance(0.5)}
    operator = str(n.rng.choice(["RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR"]))
    n.place(operator, [x.index, n.numbers(*size)], (1, *size, x.shape[3]), **options)


def moved(n: Network) -> None:
    """Rows and columns exchanged, or parts along one axis put together in another order."""
    x = n.tensor()
    if n.chance(0.5):
        shape = (1, x.shape[2], x.shape[1], x.shape[3])
        n.place("TRANSPOSE", [x.index, n.numbers(0, 2, 1, 3)], shape)
        return
    axis = int(n.rng.integers(1, 4))
    if x.shape[axis] % 2 == 0:
        shape = tuple(size // 2 if k == axis else size for k, size in enumerate(x.shape))
        position = n.builder.constant(np.array(axis, np.int32))
        quantization = n.builder.quantization_of(x.index)
        halves = n.builder.node_with_outputs(
            "SPLIT", [position, x.index], [shape] * 2, n.dtype, *quantization, num_splits=2
        )
        n.place("CONCATENATION", halves[::-1], x.shape, axis=axis)


def transposed(n: Network) -> None:
    x = n.tensor()
    channels = int(n.rng.integers(2, 6))
    shape = (1, x.shape[1] * 2, x.shape[2] * 2, channels)
    bias = ("int32", None) if n.dtype == "int8" else ("int64", None)
    sums = draw_sums(n.builder, n.rng, x.index, (channels, 2, 2, x.shape[3]), bias_dtypes=bias)
    inputs = [n.numbers(*shape), sums.weights, x.index]
    inputs += [] if sums.bias is None else [sums.bias]
    n.last = n.builder.node(
        "TRANSPOSE_CONV",
        inputs,
        shape,
        n.dtype,
        sums.output_scale,
        n.zero_point(),
        padding="SAME",
        stride_h=2,
        stride_w=2,
        fused_activation_function="NONE",
    )


STEPS: tuple[tuple[Callable[[Network], object], float], ...] = (
    (convolution, 3),
    (pointwise, 4),
    (depthwise, 4),
    (padded, 2),
    (pool, 1),
    (lone_clamp, 2),
    (residual, 3),
    (concatenation, 2),
    (per_channel, 1),
    (idle, 1),
    (resize, 0.5),
    (moved, 1),
    (transposed, 0.5),
)
