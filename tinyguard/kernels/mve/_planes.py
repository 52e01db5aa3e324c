# SPDX-License-Identifier: Apache-2.0
"""Depthwise windows gathered from a tile of four channels: its geometry and its assembly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyguard.kernels.mve._requantize import CLOBBERED, FIRST, SECOND, Requantize
from tinyguard.operators import Target
from tinyguard.operators.families.window import Axis

TAPS = 16  # lanes of a vector of bytes
_BLOCKS = ((4, 1), (1, 4), (2, 2))  # columns and rows of output pixels computed together
_REACH = 255  # offsets of a gather of bytes
_COUNTER = '"r11", '  # not lost but changed


@dataclass(frozen=True)
class Planes:
    """Strips of a tile that holds four channels per word, and blocks of four output pixels.

    `strip`: output columns of a strip; the last strip overlaps the one before. `block`: columns and
    rows of output pixels. `part`: rows and columns of the taps that one gather takes; the kernel is
    covered by such parts, with zero weights where they go beyond it.
    """

    rows: Axis
    columns: Axis
    strip: int
    block: tuple[int, int]
    part: tuple[int, int]

    @property
    def strips(self) -> int:
        return -(-self.columns.output // self.strip)

    @property
    def tile_rows(self) -> int:
        return (self.rows.output - 1) * self.rows.stride + (self.rows.kernel - 1) * self.rows.dilation + 1

    @property
    def tile_columns(self) -> int:
        return (self.strip - 1) * self.columns.stride + (self.columns.kernel - 1) * self.columns.dilation + 1

    @property
    def tile_bytes(self) -> int:
        """One strip's."""
        return self.tile_rows * self.tile_columns * 4

    def at(self, row: int, column: int) -> int:
        """Byte of the tile where the window of output pixel (row, column) of the strip begins."""
        return (row * self.rows.stride * self.tile_columns + column * self.columns.stride) * 4

    @property
    def pixels(self) -> list[tuple[int, int]]:
        """Row and column of the block's four pixels; an image smaller than the block repeats its last."""
        wide, _ = self.block
        size = self.rows.output, self.strip
        return [(min(k // wide, size[0] - 1), min(k % wide, size[1] - 1)) for k in range(4)]

    def tap(self, row: int, column: int) -> int:
        """Byte of the tile of a tap, from where its window begins."""
        return (row * self.rows.dilation * self.tile_columns + column * self.columns.dilation) * 4

    @property
    def parts(self) -> list[tuple[int, int]]:
        """First row and column of each part."""
        across = range(0, self.columns.kernel, self.part[1])
        return [(i, j) for i in range(0, self.rows.kernel, self.part[0]) for j in across]

    @property
    def lanes(self) -> int:
        """Taps of a part."""
        return self.part[0] * self.part[1]

    def gathers(self) -> np.ndarray:
        """Offsets (4, TAPS) of the first part's taps of each pixel from the first pixel's; int64."""
        taps = [self.tap(i, j) for i in range(self.part[0]) for j in range(self.part[1])]
        offsets = np.zeros((4, TAPS), np.int64)
        for k, (row, column) in enumerate(self.pixels):
            offsets[k, : self.lanes] = self.at(row, column) + np.array(taps)
        return offsets

    def weights(self, rows: np.ndarray, stored: int) -> np.ndarray:
        """int8 (channels, kernel rows, kernel columns) as (channels, parts, stored)."""
        filled = np.zeros((len(rows), len(self.parts), stored), np.int8)
        for k, (i, j) in enumerate(self.parts):
            part = np.zeros((len(rows), *self.part), np.int8)
            taps = rows[:, i : i + self.part[0], j : j + self.part[1]]
            part[:, : taps.shape[1], : taps.shape[2]] = taps
            filled[:, k, : self.lanes] = part.reshape(len(rows), -1)
        return filled

    @property
    def scratch_bytes(self) -> int:
        """All strips, and what the last part's taps beyond the kernel may read after them."""
        last = self.at(self.rows.output - 1, self.strip - 1) + self.tap(*self.parts[-1]) + 3
        beyond = last + self.tap(self.part[0] - 1, self.part[1] - 1) + 1 - self.tile_bytes
        return self.strips * self.tile_bytes + max(0, beyond)

    @property
    def within_reach(self) -> bool:
        return bool(self.gathers().max() <= _REACH)

    def stored_taps(self, target: Target) -> int:
        """Weights a part in flash: all lanes, or the taps alone where flash counts."""
        return self.lanes if target.optimize == "size" else TAPS

    @property
    def along_rows(self) -> bool:
        """Whether a run of blocks goes along a row of pixels, else along a column."""
        return self.block != (1, 4)

    @property
    def run(self) -> tuple[int, int]:
        """Output pixels of a run, and of a block along it."""
        return (self.strip, self.block[0]) if self.along_rows else (self.rows.output, self.block[1])

    @property
    def lines(self) -> tuple[int, int]:
        """Output pixels across the runs, and of a block across."""
        return (self.rows.output, self.block[1]) if self.along_rows else (self.strip, self.block[0])

    @property
    def blocks(self) -> int:
        """Blocks of an image."""
        (run, length), (lines, across) = self.run, self.lines
        return self.strips * -(-run // length) * -(-lines // across)

    def instructions(self, channels: int, form: str) -> float:
        """Instructions of a layer."""
        (run, length), (lines, across) = self.run, self.lines
        runs = self.strips * -(-lines // across) * (1 if run % length == 0 or run < length else 2)
        copies = self.strips * self.tile_rows * (12 + self.tile_columns)
        block = {"clamped": 82, "signed": 90, "general": 100}[form]
        block += 40 * (len(self.parts) - 1)
        return (channels + 3) // 4 * (self.blocks * block + 20 * runs + copies + 60)


def _candidates(rows: Axis, columns: Axis) -> Iterator[Planes]:
    part_columns = -(-columns.kernel // -(-columns.kernel // TAPS))
    most = min(rows.kernel, TAPS // part_columns)
    for part_rows in range(1, most + 1):
        for strips in range(1, -(-columns.output // 4) + 1):
            strip = -(-columns.output // strips)
            part = (part_rows, part_columns)
            found = [Planes(rows, columns, strip, block, part) for block in _BLOCKS]
            found = [planes for planes in found if planes.within_reach]
            yield from found
            if found:
                break


def planes_of(operator: Any, form: str) -> Planes | None:
    """The best strips, blocks and parts that gathers reach; None where there are none."""
    channels = operator.outputs[0].shape[3]
    found = _candidates(operator.rows, operator.columns)
    return min(found, key=lambda planes: planes.instructions(channels, form), default=None)


def run_statement(planes: Planes, rule: Requantize, channels: int, stored: int) -> list[str]:
    """C: a run of `blocks` blocks of four channels, whose weights are `stored` bytes each.

    Register variables: r1 tile, r3 weights, r5 constants, r7 gathers and offsets, r9 output, r11 blocks.
    """
    lines = [f"vldrw.u32 q{4 + k}, [r7, #{16 * k}]" for k in range(4)]
    if stored < TAPS:
        lines += [f"mov lr, #{stored}", "vctp.8 lr"]
    at = 0
    lines.append("1:")
    for channels_of_pair, pack in (((0, 2), rule.pack_first), ((1, 3), rule.pack_second)):
        for channel, sums in zip(channels_of_pair, (FIRST, SECOND), strict=True):
            for part in planes.parts:
                place = planes.tap(*part) + channel
                lines += _add("r1", place - at)
                lines += _accumulate(sums, stored, part == (0, 0))
                at = place
        lines += pack()
    lines += ["vldrw.u32 q1, [r7, #64]"]
    (_, length), pixel = planes.run, channels
    tile_step, output_step = planes.at(0, length), length * pixel
    if not planes.along_rows:
        tile_step, output_step = planes.at(length, 0), length * pixel * planes.columns.output
    if channels % 4 == 0:
        lines.append("vstrw.32 q3, [r9, q1]")
    else:
        for _ in range(3):
            lines += ["vstrb.32 q3, [r9, q1]", "vshr.u32 q3, q3, #8", "add r9, r9, #1"]
        lines.append("vstrb.32 q3, [r9, q1]")
        output_step -= 3
    lines += [*_add("r1", tile_step - at), *_add("r9", output_step)]
    lines += _add("r3", -4 * len(planes.parts) * stored)
    lines += [f"sub r5, r5, #{16 * rule.words}", "subs r11, r11, #1", "bne 1b"]
    text = [f'    "{line}\\n"' if line.endswith(":") else f'    "\\t{line}\\n"' for line in lines]
    return [
        "__asm__ volatile(",  # GCC 12 knows no name for VPR, which holds nothing across statements here
        *text,
        '    : "+r"(windows), "+r"(taps), "+r"(constants), "+r"(to), "+r"(blocks)',
        '    : "r"(offsets)',
        f"    : {CLOBBERED.replace(_COUNTER, '')});",
    ]


def _accumulate(sums: tuple[str, ...], stored: int, first: bool) -> list[str]:
    """Four pixels of one channel and one part, from r1."""
    load = ["vldrb.8 q0, [r3], #16"] if stored == TAPS else ["vpst", f"vldrbt.8 q0, [r3], #{stored}"]
    name = "vmladav" if first else "vmladava"
    lines = load
    for p, total in enumerate(sums):
        lines += [f"vldrb.u8 q2, [r1, q{4 + p}]", f"{name}.s8 {total}, q2, q0"]
    return lines


def _add(register: str, amount: int) -> list[str]:
    lines = []
    while amount:
        part = min(abs(amount), 4092)
        lines.append(f"{'addw' if amount > 0 else 'subw'} {register}, {register}, #{part}")
        amount -= part if amount > 0 else -part
    return lines
