# SPDX-License-Identifier: Apache-2.0
"""A run of `tinyguard bench` as a table, beside another one where there is one."""

from typing import Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from tinyguard.measure.bench import Bench, LayerCount, StageCount

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_WIDE = 118  # characters: below, layers go by their number only and bars are short
_PAPER = 150  # where output goes to a file
_BAR, _SHORT_BAR = 24, 6
_TEXTS = (1, 2, 3)  # columns: layer, operator, kernel
_LEAST = 8


def show(run: Bench, other: Bench | None, console: Console) -> None:
    """Print the run; `other` gives the second count of each layer, and the ratio."""
    if not console.is_terminal:
        console = Console(highlight=False, emoji=False, width=_PAPER)
    console.print(_layers(run, other, console.width))
    console.print(_totals(run, other))


def _layers(run: Bench, other: Bench | None, width: int) -> Table:
    """Numbers and bars stay whole; texts give way in a narrow window."""
    wide = width >= _WIDE
    titles = ["", "layer", "operator", "kernel", "MACs", run.unit, "per MAC"]
    titles += [_title(other), "ratio"] if other else []
    rows = _rows(run, other, _BAR if wide else _SHORT_BAR)
    shown = [column for column in range(len(titles) + 1) if wide or column != 1]
    sizes = {column: max(len(Text.from_markup(row[column])) for row in rows) for column in shown}
    sizes |= {
        column: max(size, len(titles[column])) for column, size in sizes.items() if column < len(titles)
    }
    texts = [column for column in shown if column in _TEXTS]
    excess = sum(sizes.values()) + 2 * len(shown) - width
    while excess > 0 and max(sizes[column] for column in texts) > _LEAST:
        sizes[max(texts, key=lambda column: sizes[column])] -= 1
        excess -= 1
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in shown:
        title = titles[column] if column < len(titles) else ""
        justify: Literal["left", "right"] = "left" if column in (*_TEXTS, len(titles)) else "right"
        table.add_column(title, justify=justify, width=sizes[column], no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*(row[column] for column in shown))
    return table


def _rows(run: Bench, other: Bench | None, bar_width: int) -> list[list[str]]:
    """The layers, after each stage its sum, and the whole."""
    ends: dict[int, StageCount] = {}
    for stage in run.stages:
        ends[max(ends, default=0) + stage.layers] = stage
    rows = []
    for index in range(len(run.layers)):
        rows.append(_row(run, other, index, bar_width))
        if index + 1 in ends:
            rows.append(_stage_row(ends[index + 1], other))
    return [*rows, _last_row(run, other)]


def _row(run: Bench, other: Bench | None, index: int, width: int) -> list[str]:
    layer = run.layers[index]
    largest = max(1, *(each.count for each in run.layers))
    theirs = _counterpart(layer, other) if other else None
    return [
        str(index),
        escape(_short(layer.name)),
        layer.operator.lower(),
        layer.kernel,
        f"{layer.macs:,}" if layer.macs else "",
        f"{layer.count:,}",
        f"{layer.count / layer.macs:.2f}" if layer.macs else "",
        *(_compared(layer.count, theirs) if other else ()),
        f"[cyan]{bar(layer.count / largest, width)}[/]",
    ]


def _stage_row(stage: StageCount, other: Bench | None) -> list[str]:
    stages = other.stages if other else ()
    theirs = next((each.count for each in stages if each.name == stage.name), None)
    return _sum_row(stage.name, stage.macs, stage.count, other, theirs)


def _last_row(run: Bench, other: Bench | None) -> list[str]:
    theirs = other.per_inference if other else None
    row = _sum_row("per inference", run.macs_per_inference, run.per_inference, other, theirs)
    return row if run.exit is None else [*row[:-1], f"took exit {run.exit}"]


def _sum_row(title: str, macs: int, count: int, other: Bench | None, theirs: int | None) -> list[str]:
    return [
        "",
        "",
        f"[bold]{title}[/]",
        "",
        f"{macs:,}",
        f"[bold]{count:,}[/]",
        f"{count / macs:.2f}" if macs else "",
        *(_compared(count, theirs) if other else ()),
        "",
    ]


def _short(name: str) -> str:
    """Converters join the names of fused layers with semicolons, and paths tell most at their end."""
    first = name.split(";")[0]
    return first if len(first) <= 30 else f"…{first[-29:]}"


def _title(other: Bench) -> str:
    return other.kernels if other.kernels != "builtin" else f"{other.board} {other.optimize}"


def _counterpart(layer: LayerCount, other: Bench) -> int | None:
    """The other run's count of a layer: by name, since passes may have removed some."""
    return next((each.count for each in other.layers if each.name == layer.name), None)


def _compared(count: int, other: int | None) -> tuple[str, str]:
    if other is None:
        return "-", ""
    style = "green" if count <= other else "red"
    return f"{other:,}", f"[{style}]{other / max(1, count):.2f}x[/]"


def bar(share: float, width: int) -> str:
    """A bar of at most `width` characters, in eighths of one."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    return "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")


def _totals(run: Bench, other: Bench | None) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column("")
    table.add_column("", justify="right")
    rows = (
        ("flash", run.flash_bytes, other and other.flash_bytes),
        ("constants", run.predicted["constant_bytes"], other and other.predicted["constant_bytes"]),
        ("arena", run.arena_bytes, other and other.arena_bytes),
        ("stack", run.stack_bytes, other and other.stack_bytes),
        ("stack of the layers", run.inference_stack_bytes, other and other.inference_stack_bytes),
    )
    for name, size, theirs in rows:
        if size is not None:
            beside = () if theirs is None else (f"({theirs:,})",)
            table.add_row(name, f"{size:,} bytes", *beside)
    return table
