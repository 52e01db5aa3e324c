# SPDX-License-Identifier: Apache-2.0
"""The arena over time: a box for each buffer, layers to the right, bytes upwards."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tinyguard.codegen import Buffer, ModelSource
from tinyguard.report import svg

_LEFT, _RIGHT, _TOP, _BOTTOM, _HEIGHT = 84, 24, 78, 148, 440
_WIDTH, _LEAST_COLUMN, _WIDEST_COLUMN = 1060, 24, 92
_COLOURS = {"input": "#86b5e0", "output": "#8cc98a", "scratch": "#d9d9d9"}
_ACTIVATIONS = ("#f3c77b", "#e9a58b", "#cfb5e3", "#a9d5d8", "#e6b8cc", "#d3d28d")


@dataclass(frozen=True)
class Box:
    """A buffer with what it holds. `role`: "input", "output", "activation" or "scratch".

    `short` is the name without an ending that it shares with others.
    """

    buffer: Buffer
    role: str
    name: str
    short: str
    colour: str


def boxes(source: ModelSource) -> list[Box]:
    """The plan's buffers, lowest and earliest first."""
    graph, placed, activations = source.graph, [], 0
    endings = Counter(tensor.name.split(";")[0].rpartition("/")[2] for tensor in graph.tensors)
    for buffer in sorted(source.plan.buffers, key=lambda b: (b.first, b.offset)):
        if not buffer.tensors:
            role, name = "scratch", f"scratch of {source.operators[buffer.first].name.split(';')[0]}"
            short = "scratch"
        else:
            names = [graph.tensors[index].name.split(";")[0] for index in buffer.tensors]
            name = " = ".join(dict.fromkeys(names))
            short = " = ".join(dict.fromkeys(_without_ending(full, endings) for full in names))
            held = set(buffer.tensors)
            role = (
                "output"
                if held & set(graph.outputs)
                else "input"
                if held & set(graph.inputs)
                else "activation"
            )
        colour = _COLOURS.get(role) or _ACTIVATIONS[activations % len(_ACTIVATIONS)]
        activations += role == "activation"
        placed.append(Box(buffer, role, name, short, colour))
    return placed


def _without_ending(name: str, endings: Counter[str]) -> str:
    """Converters end names by the operator's, which tells no tensor from another."""
    rest, _, ending = name.rpartition("/")
    return rest if rest and endings[ending] > 1 else name


def memory_svg(source: ModelSource, title: str) -> str:
    """The picture as the text of an SVG file."""
    steps = len(source.operators) + 2  # the inputs before, the outputs after
    column = max(_LEAST_COLUMN, min(_WIDEST_COLUMN, _WIDTH / steps))
    frame = _Frame(column, steps, max(16, source.plan.arena_bytes))
    placed = boxes(source)
    parts = [
        svg.label(_LEFT, 30, title, 17, font_weight="bold"),
        svg.label(_LEFT, 50, _summary(source), 12, fill="#555"),
        *_legend(placed, frame),
        *_grid(frame),
        *(part for box in placed for part in _box(box, frame)),
        *_layers(source, frame),
    ]
    return svg.document(frame.right + _RIGHT, _TOP + _HEIGHT + _BOTTOM, parts)


@dataclass(frozen=True)
class _Frame:
    column: float
    steps: int
    arena_bytes: int

    @property
    def right(self) -> float:
        return _LEFT + self.column * self.steps

    def x(self, step: int) -> float:
        """Left side of a layer's column; -1 is the inputs'."""
        return _LEFT + (step + 1) * self.column

    def y(self, offset: int) -> float:
        return _TOP + _HEIGHT - offset / self.arena_bytes * _HEIGHT


def _summary(source: ModelSource) -> str:
    target = source.target
    return (
        f"arena {source.plan.arena_bytes:,} bytes, {len(source.plan.buffers)} buffers; "
        f"{target.isa} kernels ({target.kernels}), optimized for {target.optimize}"
    )


def _legend(placed: Sequence[Box], frame: _Frame) -> list[str]:
    parts, x = [], frame.right
    for role in ("scratch", "activation", "output", "input"):
        if any(box.role == role for box in placed):
            x -= 22 + 7 * len(role)
            colour = _COLOURS.get(role, _ACTIVATIONS[0])
            parts.append(svg.element("rect", x=x, y=56, width=10, height=10, fill=colour, stroke="#555"))
            parts.append(svg.label(x + 14, 65, role, 11, fill="#333"))
    return parts


def _grid(frame: _Frame) -> list[str]:
    parts = []
    step = _tick(frame.arena_bytes)
    for offset in [*range(0, frame.arena_bytes, step), frame.arena_bytes]:
        last = offset == frame.arena_bytes
        if not last and frame.y(offset) - frame.y(frame.arena_bytes) < 12:
            continue
        y, colour = frame.y(offset), "#333" if last else "#ddd"
        parts.append(svg.element("line", x1=_LEFT, x2=frame.right, y1=y, y2=y, stroke=colour))
        parts.append(svg.label(_LEFT - 8, y + 4, f"{offset:,}", 11, text_anchor="end", fill="#333"))
    return parts


def _tick(arena_bytes: int) -> int:
    """A power of two that divides the height into four to eight."""
    return int(max(16, 1 << max(0, (arena_bytes // 4).bit_length() - 1)))


def _box(box: Box, frame: _Frame) -> list[str]:
    buffer = box.buffer
    x, top = frame.x(buffer.first), frame.y(buffer.offset + buffer.size_bytes)
    width = (buffer.last - buffer.first + 1) * frame.column
    height = frame.y(buffer.offset) - top
    told = (
        f"{box.name}\n{box.role}, {buffer.size_bytes:,} bytes at {buffer.offset:,}, "
        f"layers {buffer.first} to {buffer.last}"
    )
    dashes = {"stroke_dasharray": "3 2"} if box.role == "scratch" else {}
    parts = [
        svg.rectangle(
            x + 1, top + 0.5, width - 2, max(1.0, height - 1), told.replace("\n", ": "),
            fill=box.colour, stroke="#555", rx=2, **dashes,
        )
    ]  # fmt: skip
    return parts + _texts(box, x, top, width, height)


def _texts(box: Box, x: float, top: float, width: float, height: float) -> list[str]:
    """The name, and the size below where there is room; upright in tall boxes."""
    upright = width < 70 and height > width
    room, across = (height - 8, width) if upright else (width - 8, height)
    lines = [svg.fitting(box.short, room)] if across >= 13 else []
    if lines[:1] != [box.short] and box.role == "scratch":
        lines = []
    if across >= 27:
        lines.append(svg.fitting(f"{box.buffer.size_bytes:,}", room, 10))
    lines = [line for line in lines if line]
    middle_x, middle_y = x + width / 2, top + height / 2
    parts = []
    for order, line in enumerate(lines):
        shift = 4 + (order - (len(lines) - 1) / 2) * 13
        fields = {"text_anchor": "middle", "fill": "#222" if order == 0 else "#555"}
        if upright:
            parts.append(svg.label(middle_x + shift, middle_y, line, 11 - order, -90, **fields))
        else:
            parts.append(svg.label(middle_x, middle_y + shift, line, 11 - order, **fields))
    return parts


def _layers(source: ModelSource, frame: _Frame) -> list[str]:
    names = ["input", *(f"{i} {o.node.operator.lower()}" for i, o in enumerate(source.operators)), "output"]
    parts = []
    for step, name in enumerate(names, start=-1):
        x, y = frame.x(step) + frame.column / 2, frame.y(0)
        parts.append(svg.element("line", x1=x, x2=x, y1=y, y2=y + 4, stroke="#333"))
        parts.append(svg.label(x + 3, y + 14, name, 10, -55, text_anchor="end", fill="#333"))
    return parts
