# SPDX-License-Identifier: Apache-2.0
"""The product of four pixels and all output channels, in MVE assembly printed for its depth.

VMLADAV sums 16 products into a core register, and eight of these (r0 to r14, even) hold four pixels
times two channels, so that eight instructions use six vectors. The pixels' first vectors stay in q4 to
q7 over all channels. GCC 12 spills this in intrinsics.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyguard.kernels.mve._requantize import CLOBBERED, FIRST, SECOND, Requantize

PIXELS = 4


@dataclass(frozen=True)
class Product:
    """Four pixels that lie `step` bytes apart, `depth` codes each, times `channels` rows of weights.

    `readable`: bytes that may be read from a pixel on, at least `depth`. `unroll`: vectors of depth
    printed one after the other; more are looped over. `aligned`: pixels begin at multiples of 4.
    """

    depth: int
    readable: int
    channels: int
    step: int
    rule: Requantize
    unroll: int
    aligned: bool = True

    @property
    def narrow(self) -> bool:
        """Depth 8, widened to 16 bits as it is loaded: nothing is read beyond it."""
        return self.depth <= 8 and self.readable == 8

    @property
    def lanes(self) -> int:
        return 8 if self.narrow else 16

    @property
    def starts(self) -> list[int]:
        """Where each vector of a pixel begins; the last one ends within what is readable."""
        starts = list(range(0, self.depth, self.lanes))
        starts[-1] = min(starts[-1], self.readable - self.lanes)
        return starts

    @property
    def by_words(self) -> bool:
        """Whether four channels of a pixel are stored at once."""
        return self.channels % 4 == 0

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Channels that share their pixels' vectors; narrowing interleaves, hence the order of four."""
        if self.by_words:
            return [(c + k, c + k + 2) for c in range(0, self.channels, 4) for k in (0, 1)]
        last = self.channels - 1
        return [(c, min(c + 1, last)) for c in range(0, self.channels, 2)]

    def weights(self, rows: np.ndarray) -> np.ndarray:
        """int8 (channels, depth) rows in the order of the loads."""
        vectors = np.zeros((self.channels, len(self.starts), self.lanes), np.int8)
        for k, start in enumerate(self.starts):
            first = k * self.lanes  # lanes before it were in an earlier vector
            part = rows[:, first : start + self.lanes]
            vectors[:, k, first - start : first - start + part.shape[1]] = part
        order = np.array(self.pairs)
        return vectors[order].transpose(0, 2, 1, 3)  # (pairs, vectors, 2, lanes)

    @property
    def constant_bytes(self) -> int:
        """Weights and constants in flash."""
        return 2 * len(self.pairs) * (len(self.starts) * self.lanes + 4 * self.rule.words)

    def constants(self, channels: np.ndarray) -> np.ndarray:
        """int32 (channels, words) in the order of the loads."""
        return channels[np.array(self.pairs)]

    def instructions(self, blocks: int) -> float:
        """Instructions that `blocks` blocks of four pixels take."""
        vectors = len(self.starts)
        scale = {"clamped": 7, "signed": 11, "general": 16}[self.rule.form]
        pair = 14 * vectors - 4 + 4 + scale + 2 + (6 if self.by_words else 12)
        pair += 2 * max(0, vectors - 1) // self.unroll if vectors > self.unroll + 1 else 0
        return blocks * (20 + len(self.pairs) * pair)

    # -- printing ----------------------------------------------------------------------------------

    def statement(self) -> list[str]:
        """C: the assembly on the register variables pixels, weights, channels, outputs and to."""
        text = [f'    "{line}\\n"' if line.endswith(":") else f'    "\\t{line}\\n"' for line in self.lines()]
        return [
            "__asm__ volatile(",
            *text,
            '    : "+r"(pixels), "+r"(weights), "+r"(channels), "+r"(to)',
            '    : "r"(outputs)',
            f"    : {CLOBBERED});",
        ]

    def lines(self) -> list[str]:
        """Assembly; r1 pixels, r3 weights, r5 constants, r7 offsets of the outputs and end, r9 output.

        r7 points to four output offsets in bytes and the end of the constants. All of r0 to r14 but
        r7 and r13, and q0 to q7, are lost.
        """
        base = _Base(self.aligned)
        held: list[str] = []
        for p in range(PIXELS):
            held += base.load(f"q{4 + p}", p * self.step + self.starts[0], self)
        held += base.reset()
        halves: list[str] = []
        for half in ("b", "t") if self.by_words else ("",):
            halves += self._sums(base)
            halves += self._pack(half)
        return [*held, "1:", *halves, *base.reset(), "ldr r11, [r7, #16]", "cmp r5, r11", "bne 1b", "2:"]

    def _sums(self, base: _Base) -> list[str]:
        lines = self._weights()
        for p in range(PIXELS):
            lines += self._accumulate("vmladav", p, f"q{4 + p}")
        todo = list(range(1, len(self.starts)))
        body = self.unroll
        if len(todo) > body:
            rounds = len([k for k in todo if self.starts[k] == k * self.lanes]) // body
            lines += base.reset()
            lines += [f"mov r11, #{rounds}", "3:"]
            for k in todo[:body]:
                lines += self._vector(k, base)
            base.at -= body * self.lanes
            lines += [*base.reset(), "subs r11, r11, #1", "bne 3b"]
            base.at = body * rounds * self.lanes
            todo = todo[body * rounds :]
        for k in todo:
            lines += self._vector(k, base)
        return lines

    def _weights(self) -> list[str]:
        kind = "vldrb.s16" if self.narrow else "vldrb.8"
        return [f"{kind} {q}, [r3], #{self.lanes}" for q in ("q0", "q1")]

    def _accumulate(self, name: str, pixel: int, vector: str) -> list[str]:
        kind = "s16" if self.narrow else "s8"
        return [f"{name}.{kind} {acc[pixel]}, {vector}, {q}" for acc, q in ((FIRST, "q0"), (SECOND, "q1"))]

    def _vector(self, k: int, base: _Base) -> list[str]:
        lines = self._weights()
        for p in range(PIXELS):
            lines += base.load("q2", p * self.step + self.starts[k], self)
            lines += self._accumulate("vmladava", p, "q2")
        return lines

    def _pack(self, half: str) -> list[str]:
        """Scale both channels' sums and store what is complete."""
        rule = self.rule
        if half == "b":
            return rule.pack_first()
        if half == "t":
            store = ["vldrw.u32 q1, [r7]", "vstrw.32 q3, [r9, q1]", "add r9, r9, #4"]
            return [*rule.pack_second(), *store]
        lines = rule.scale_sums()
        lines += ["vqmovnb.s32 q3, q0", "vqmovnt.s32 q3, q1", *rule.offset(("q3",))]
        lines += [rule.narrow("b", "q3", "q3"), *rule.clamp("q3", "q1")]
        lines += ["vldrw.u32 q1, [r7]", "vstrb.32 q3, [r9, q1]"]
        if self.channels % 2:
            lines += ["ldr r11, [r7, #16]", "cmp r5, r11", "beq 2f"]
        return [*lines, "vshr.u32 q3, q3, #16", "add r9, r9, #1", "vstrb.32 q3, [r9, q1]", "add r9, r9, #1"]


class _Base:
    """Where r1 stands, moved so that every load is within reach of its immediate."""

    def __init__(self, aligned: bool) -> None:
        self.at = 0
        self.aligned = aligned

    def load(self, vector: str, offset: int, product: Product) -> list[str]:
        """Load the vector at `offset` bytes from the first pixel."""
        wide = self.aligned and not product.narrow
        reach = 508 if wide else 127
        lines = [] if abs(offset - self.at) <= reach else self._move(offset)
        name = "vldrw.u32" if wide else ("vldrb.s16" if product.narrow else "vldrb.8")
        return [*lines, f"{name} {vector}, [r1, #{offset - self.at}]"]

    def reset(self) -> list[str]:
        """Back to the first pixel."""
        return self._move(0)

    def _move(self, to: int) -> list[str]:
        lines, delta = [], to - self.at
        self.at = to
        while delta:
            part = min(abs(delta), 4092)
            lines.append(f"{'addw' if delta > 0 else 'subw'} r1, r1, #{part}")
            delta -= part if delta > 0 else -part
        return lines
