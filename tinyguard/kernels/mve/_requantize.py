# SPDX-License-Identifier: Apache-2.0
"""Requantization in MVE: which of three forms a layer needs, its constants and its instructions.

Four accumulators of one channel, one per pixel, are scaled at once by scalars of that channel. VQRDMULH is
gemmlowp's doubling high multiply. VRSHL rounds half up; ties away from zero need 1 taken off negative
values before, unless everything below the zero point is clamped to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tinyguard.operators.families.accumulating import Accumulating

FIRST = ("r0", "r2", "r4", "r6")  # sums of the first of two channels, one per pixel
SECOND = ("r8", "r10", "r12", "r14")
_NAMES = (*FIRST, *SECOND[:-1], "r11", "lr", *(f"q{k}" for k in range(8)), "cc", "memory")
CLOBBERED = ", ".join(f'"{name}"' for name in _NAMES)

_NO_SIGN = 64  # shifts a value out of its lane, so that nothing is taken off


@dataclass(frozen=True)
class Requantize:
    """`form`: "clamped" (no correction), "signed" (right shifts above 0) or "general" (any shifts)."""

    form: str
    zero_point: int
    low: int
    high: int

    @property
    def words(self) -> int:
        """int32 constants per channel."""
        return 5 if self.form == "general" else 3

    @property
    def record(self) -> str:
        """For a comment: a channel's constants."""
        names = "bias, multiplier, right shift (at most 0)"
        if self.form == "general":
            names = "bias, left shift, multiplier, shift to the sign, right shift (at most 0)"
        return "\n".join(f"word {k}: {name}" for k, name in enumerate(names.split(", ")))

    def scale(self, vectors: tuple[str, str], spare: str) -> list[str]:
        """Load the constants of two channels from r5 and scale their vectors; r0 to r14 even are lost."""
        lines = []
        if self.form == "general":
            for q in vectors:
                lines += ["ldmia r5!, {r0, r2, r4, r6, r8}", f"vadd.i32 {q}, {q}, r0", f"vshl.s32 {q}, r2"]
                lines += [f"vqrdmulh.s32 {q}, {q}, r4", f"vmov {spare}, {q}", f"vshl.s32 {spare}, r6"]
                lines += [f"vadd.i32 {q}, {q}, {spare}", f"vrshl.s32 {q}, r8"]
            return lines
        lines.append("ldmia r5!, {r0, r2, r4, r6, r8, r10}")
        for q, (bias, multiplier, shift) in zip(
            vectors, (("r0", "r2", "r4"), ("r6", "r8", "r10")), strict=True
        ):
            lines += [f"vadd.i32 {q}, {q}, {bias}", f"vqrdmulh.s32 {q}, {q}, {multiplier}"]
            if self.form == "signed":
                lines += [f"vshr.s32 {spare}, {q}, #31", f"vadd.i32 {q}, {q}, {spare}"]
            lines.append(f"vrshl.s32 {q}, {shift}")
        return lines

    def scale_sums(self) -> list[str]:
        """The sums in FIRST and SECOND, scaled, as lanes of q0 and q1; q2 is lost."""
        lines = []
        for q, (a, b, c, d) in (("q0", FIRST), ("q1", SECOND)):
            lines += [f"vmov {q}[2], {q}[0], {a}, {c}", f"vmov {q}[3], {q}[1], {b}, {d}"]
        return lines + self.scale(("q0", "q1"), "q2")

    def pack_first(self) -> list[str]:
        """Channels 0 and 2 of four: saturated to 16 bits into q3."""
        return [*self.scale_sums(), "vqmovnb.s32 q3, q0", "vqmovnt.s32 q3, q1"]

    def pack_second(self) -> list[str]:
        """Channels 1 and 3: q3 becomes the codes of four pixels, a word with four channels each."""
        lines = [*self.scale_sums(), "vqmovnb.s32 q0, q0", "vqmovnt.s32 q0, q1", *self.offset(("q0", "q3"))]
        return [*lines, self.narrow("b", "q3", "q3"), self.narrow("t", "q3", "q0"), *self.clamp("q3", "q1")]

    @property
    def unsigned(self) -> bool:
        """Whether the lowest code is the zero point at -128: saturation to unsigned bytes clamps below."""
        return self.zero_point == self.low == -128

    def offset(self, halves: tuple[str, ...]) -> list[str]:
        """Add the zero point to int16 lanes that hold saturated results; r0 is lost."""
        if self.unsigned or self.zero_point == 0:
            return []
        return [
            f"mvn r0, #{-self.zero_point - 1}" if self.zero_point < 0 else f"mov r0, #{self.zero_point}"
        ] + [f"vqadd.s16 {q}, {q}, r0" for q in halves]

    def narrow(self, half: str, target: str, source: str) -> str:
        """int16 lanes of `source` to the bottom (b) or top (t) bytes of `target`."""
        return f"vqmov{'u' if self.unsigned else ''}n{half}.s16 {target}, {source}"

    def clamp(self, vector: str, spare: str) -> list[str]:
        """Finish 16 narrowed bytes; r0 is lost."""
        lines = ["mov r0, #128", f"vadd.i8 {vector}, {vector}, r0"] if self.unsigned else []
        if self.low > -128 and not self.unsigned:
            lines += [
                f"mov r0, #{self.low & 0xFF}",
                f"vdup.8 {spare}, r0",
                f"vmax.s8 {vector}, {vector}, {spare}",
            ]
        if self.high < 127:
            lines += [
                f"mov r0, #{self.high & 0xFF}",
                f"vdup.8 {spare}, r0",
                f"vmin.s8 {vector}, {vector}, {spare}",
            ]
        return lines


def form_of(shifts: np.ndarray, zero_point: int, low: int, high: int) -> Requantize:
    """The cheapest form that is exact."""
    if (shifts <= 0).all() and low >= zero_point:
        form = "clamped"
    elif (shifts < 0).all():
        form = "signed"
    else:
        form = "general"
    return Requantize(form, zero_point, low, high)


def channel_constants(rule: Requantize, operator: Accumulating, bias: np.ndarray) -> np.ndarray:
    """int32 (channels, rule.words) in the order in which `scale` loads them; `bias` holds the folded sums."""
    bias, multipliers = bias.astype(np.int64), operator.multipliers.astype(np.int64)
    shifts = operator.shifts.astype(np.int64)
    right = np.minimum(shifts, 0)
    columns = [bias, multipliers, right]
    if rule.form == "general":
        sign = np.where(right < 0, -31, _NO_SIGN)
        columns = [bias, np.maximum(shifts, 0), multipliers, sign, right]
    return np.stack(columns, axis=1).astype(np.int32)


def folded_bias(bias: np.ndarray, weight_sums: np.ndarray, zero_point: int) -> np.ndarray:
    """Bias for sums over codes that keep their zero point."""
    return bias.astype(np.int64) - zero_point * weight_sums.astype(np.int64)
