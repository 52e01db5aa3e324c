"""A run of `tinyguard bench` as a table, beside another one where there is one."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from tinyguard.evaluation.bench import Bench, LayerCount

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_WIDE = 118  # characters: below, layers go by their number only and bars are short
_PAPER = 150  # where output goes to a file
_BAR, _SHORT_BAR = 24, 6
_TEXTS = ("layer", "operator", "kernel")


def show(run: Bench, other: Bench | None, console: Console) -> None:
    """Print the run; `other` gives the second count of each layer, and the ratio."""
    if not console.is_terminal:
        console = Console(highlight=False, width=_PAPER)
    console.print(_layers(run, other, console.width >= _WIDE))
    console.print(_totals(run, other))


def _layers(run: Bench, other: Bench | None, wide: bool) -> Table:
    """Numbers and bars keep their width; texts give way in a narrow window."""
    width = _BAR if wide else _SHORT_BAR
    rows = [_row(run, other, index, width) for index in range(len(run.layers))]
    rows.append(_last_row(run, other))
    titles = ["", "layer", "operator", "kernel", "MACs", run.unit, "a MAC"]
    titles += [_title(other), "ratio"] if other else []
    table = Table(box=None, pad_edge=False, header_style="bold")
    shown = [column for column in range(len(titles)) if wide or column != 1]
    for column in shown:
        if titles[column] in _TEXTS:
            table.add_column(titles[column], no_wrap=True, overflow="ellipsis")
        else:
            size = max(len(titles[column]), *(Text.from_markup(row[column]).cell_len for row in rows))
            table.add_column(titles[column], justify="right", no_wrap=True, width=size)
    table.add_column("", width=width, no_wrap=True)
    for row in rows:
        table.add_row(*(row[column] for column in shown), row[-1])
    return table


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


def _last_row(run: Bench, other: Bench | None) -> list[str]:
    return [
        "",
        "",
        "an inference",
        "",
        f"{run.macs:,}",
        f"[bold]{run.per_inference:,}[/]",
        f"{run.per_inference / run.macs:.2f}" if run.macs else "",
        *(_compared(run.per_inference, other.per_inference) if other else ()),
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
