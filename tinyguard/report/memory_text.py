# SPDX-License-Identifier: Apache-2.0
"""The arena over time for a terminal: a column for each layer, bytes upwards."""

from rich.text import Text

from tinyguard.codegen import ModelSource
from tinyguard.report.memory_map import Box, boxes

_ROWS = 16
_SCALE_EVERY = 4  # rows


def memory_text(source: ModelSource, width: int) -> Text:
    """A picture at most `width` characters wide: colours by role, as in the SVG."""
    arena = max(16, source.plan.arena_bytes)
    steps = len(source.operators) + 2
    cell = max(1, min(4, (width - 12) // steps))
    placed = boxes(source)
    text = Text()
    for row in range(_ROWS):
        offset = arena * (2 * (_ROWS - row) - 1) // (2 * _ROWS)
        scale = f"{arena * (_ROWS - row) // _ROWS:>10,} " if row % _SCALE_EVERY == 0 else " " * 11
        text.append(scale, "dim")
        for step in range(-1, steps - 1):
            box = _box_at(placed, step, offset)
            text.append(_cell(box, step, cell), box.colour if box else "dim")
        text.append("\n")
    text.append(f"{0:>10} ", "dim")
    text.append(_numbers(steps, cell), "dim")
    return text


def _box_at(placed: list[Box], step: int, offset: int) -> Box | None:
    for box in placed:
        buffer = box.buffer
        if buffer.first <= step <= buffer.last and 0 <= offset - buffer.offset < buffer.size_bytes:
            return box
    return None


def _cell(box: Box | None, step: int, cell: int) -> str:
    if box is None:
        return "·" + " " * (cell - 1)
    last = step == box.buffer.last and cell > 1
    return ("░" if box.role == "scratch" else "█") * (cell - last) + " " * last


def _numbers(steps: int, cell: int) -> str:
    """The numbers of layers, as many as have room."""
    every, line = max(1, -(-4 // cell)), ""
    for layer in range(0, steps - 2, every):
        line = line.ljust((layer + 1) * cell) + str(layer)
    return line
