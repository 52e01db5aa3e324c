# SPDX-License-Identifier: Apache-2.0
"""CONV_2D 3x3 of stride 1 by integer Winograd F(2x2, 3x3), for those who trade flash for speed."""

from typing import Any, ClassVar

import numpy as np

from tinyguard.kernels.dsp.assembly import rendered, repeat
from tinyguard.kernels.dsp.block import advance, quad
from tinyguard.kernels.dsp.conv_2d import Layout, shape_fields
from tinyguard.kernels.dsp.geometry import Geometry, geometry
from tinyguard.kernels.dsp.scaling import Scaling, scaling
from tinyguard.kernels.kernel import Cost, Kernel
from tinyguard.operators import Emission, Target
from tinyguard.operators.base import c_shape

_TWICE_G = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]], np.int64)
_MOST_CHANNELS = 128  # of the input: the products are unrolled over them
_MOST_SCRATCH_BYTES = 16384
_SUM_LIMIT = 2**29  # four times a sum fits 32 bits


class DspWinograd(Kernel):
    """16 products per window of 2x2 outputs in place of 36; its weights take 3.6 times the flash."""

    name: ClassVar = "dsp winograd"
    operators: ClassVar = ("CONV_2D",)

    def supports(self, operator: Any, target: Target) -> bool:
        if target.optimize != "speed" or operator.outputs[0].dtype != "int8" or operator.groups != 1:
            return False
        g = geometry(operator)
        if g is None or g.batches != 1 or not _fits(g):
            return False
        scale = scaling(operator)
        if scale is None or scale.wide or _scratch_bytes(g) > _MOST_SCRATCH_BYTES:
            return False
        return bool(np.abs(g.weights.astype(np.int64)).sum(axis=(1, 2, 3)).max() * 256 < _SUM_LIMIT)

    def cost(self, operator: Any, target: Target) -> Cost:
        g = geometry(operator)
        assert g is not None
        windows = g.rows.output * g.columns.output / 4
        products = 16 * (g.depth / 4 * 16 / 3 + 4) * g.channels / 2
        instructions = windows * (products + 90 * g.channels + 32 * g.depth)
        weights = g.channels // 2 * (64 * g.depth + 32)
        return Cost(instructions, weights, 2500 + 45 * g.depth)

    def scratch_bytes(self, operator: Any, target: Target) -> int:
        g = geometry(operator)
        assert g is not None
        return _scratch_bytes(g)

    def in_place(self, operator: Any) -> tuple[int, ...]:
        g = geometry(operator)
        return (0,) if g is not None and _layout(g).overwrites else ()

    def emit(self, operator: Any, c: Emission) -> str:
        g, scale = geometry(operator), scaling(operator)
        assert g is not None
        assert scale is not None
        c.kernel("dsp/winograd.h")
        windows = g.columns.output // 2
        name = f"tg_winograd_products_{g.depth}_{windows}"
        c.function(name, _products(name, g.depth, windows))
        end = 16 * g.depth
        each = ("bias, twice", "multiplier", "round", "shift")
        places = "\n".join(f"words {end + k} and {end + 4 + k}: {field}" for k, field in enumerate(each))
        note = f"two channels per row\nwords 0-{end - 1}: transformed weights, pairs of 16 bits\n{places}"
        weights = c.constant("weights", _records(g, scale), note)
        shape = c_shape("tg_dsp_conv_2d_shape", **shape_fields(_layout(g), operator))
        data = f"{c.input(0)}, (const uint32_t *){weights}, {c.output()}, {c.scratch()}"
        positive = int(operator.low >= operator.outputs[0].zero_point)
        clamp = f"{positive}, {operator.low}, {operator.high}"
        return f"{shape}\ntg_dsp_winograd(&shape, {name}, {clamp},\n    {data});"


def _fits(g: Geometry) -> bool:
    if g.phases > 1:
        return False
    axes = (g.rows, g.columns)
    plain = all((a.kernel, a.stride, a.dilation, a.output % 2) == (3, 1, 1, 0) for a in axes)
    return plain and g.depth % 4 == 0 and g.depth <= _MOST_CHANNELS and g.channels % 2 == 0


def _layout(g: Geometry) -> Layout:
    return Layout(g, height=2, width=g.columns.output, shared=False)


def _scratch_bytes(g: Geometry) -> int:
    windows = g.columns.output // 2
    return 8 * _layout(g).pitch + 32 * windows * g.depth + 128 * windows


def _records(g: Geometry, scale: Scaling) -> np.ndarray:
    """int32 (pairs of channels, words) as dsp/winograd.h reads them."""
    weights = np.where(scale.constant[:, None, None, None], 0, g.weights).astype(np.int64)
    places = np.einsum("ir,orsd,js->oijd", _TWICE_G, weights, _TWICE_G).reshape(g.channels, 16, -1, 4)
    pairs = places[..., [0, 2, 1, 3]].reshape(g.channels // 2, 2, 16, -1, 4).transpose(0, 2, 3, 1, 4)
    words = np.ascontiguousarray(pairs).astype("<i2").reshape(g.channels // 2, -1).view("<i4")
    head = np.concatenate([2 * scale.bias[:, None], scale.parameters], axis=1).astype(np.int32)
    return np.concatenate([words, head.reshape(g.channels // 2, -1)], axis=1)


def _products(name: str, depth: int, windows: int) -> str:
    """C definition of a `tg_winograd_products`, in the registers of block.py.

    Stack: 0 sums, 4 end of the windows by threes, 8 places left, 12 r7.
    """
    threes = windows // 3 - (windows % 3 == 1 and windows > 1)
    twos, ones = divmod(windows - 3 * threes, 2)
    lines = ["mov r8, #16", "90:", "str r8, [sp, #8]"]
    if threes:
        lines += ["ldr r8, [sp]", *advance("r8", 24 * threes), "str r8, [sp, #4]", "91:"]
        lines += [*_block(depth, 3), "ldr r9, [sp, #4]", "cmp r8, r9", "bne 91b"]
    lines += _block(depth, 2) * twos + _block(depth, 1) * ones
    lines += [*advance("r1", 4 * depth), "ldr r8, [sp, #8]", "subs r8, r8, #1", "bne 90b"]
    defined, body, undefined = rendered(name, lines)
    return f"""\
/* Products of {windows} windows of {depth} codes with two output channels, at each of 16 places.
   r0 codes, r1 weights (pairs of 16 bits), r2-r7 sums (window by window, both channels), r8-r12 and lr
   operands. Stack, in bytes: 0 sums, 4 end of the windows by threes, 8 places left, 12 r7. */
{defined}static __attribute__((noinline)) void {name}(
    const int16_t *codes, const uint32_t *weights, uint32_t *sums)
{{
#if defined(__ARM_FEATURE_DSP)
    register const int16_t *x __asm__("r0") = codes;
    register const uint32_t *w __asm__("r1") = weights;
    register uint32_t *to __asm__("r2") = sums;
    __asm__ volatile(
        ".syntax unified\\n\\t"
        "sub sp, sp, #16\\n\\t"
        "str r2, [sp]\\n\\t"
        "str r7, [sp, #12]\\n\\t"
{body}
        "ldr r7, [sp, #12]\\n\\t"
        "add sp, sp, #16\\n\\t"
        : "+r"(x), "+r"(w), "+r"(to)
        :
        : "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory");
#else
    tg_winograd_products_in_c(codes, weights, sums, {windows}, {depth});
#endif
}}
{undefined}"""


def _block(depth: int, pixels: int) -> list[str]:
    """So many windows of one place: the first products start the sums."""
    spacing = 2 * depth
    started: set[str] = set()
    first = []
    for line in quad(spacing, pixels):
        verb, _, operands = line.partition(" ")
        target = operands.split(",")[0]
        if verb == "smlad" and target not in started:
            started.add(target)
            line = f"smuad {operands.rpartition(', ')[0]}"
        first.append(line)
    return [
        *first,
        *repeat(depth // 4 - 1, quad(spacing, pixels)),
        "ldr r8, [sp]",
        f"stm r8!, {{r2-r{1 + 2 * pixels}}}",
        "str r8, [sp]",
        *advance("r0", (pixels - 1) * spacing),
        *advance("r1", -4 * depth),
    ]
