"""A run of `tinyguard bench` as a table, beside another one where there is one."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tinyguard.evaluation.bench import Bench, LayerCount

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_WIDE = 118  # characters: below, layers go by their number only and bars are short
_PAPER = 150  # where output goes to a file


def show(run: Bench, other: Bench | None, console: Console) -> None:
    """Print the run; `other` gives the second count of each layer, and the ratio."""
    width = console.width if console.is_terminal else _PAPER
    console.print(_layers(run, other, width >= _WIDE), width=width)
    console.print(_totals(run, other))


def _layers(run: Bench, other: Bench | None, wide: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", justify="right", no_wrap=True)
    if wide:
        table.add_column("layer", overflow="ellipsis", no_wrap=True, max_width=30)
    table.add_column("operator", no_wrap=True)
    table.add_column("kernel", no_wrap=True)
    for title in ("MACs", run.unit, "a MAC", *((_title(other), "ratio") if other else ())):
        table.add_column(title, justify="right", no_wrap=True, min_width=len(title))
    table.add_column("", no_wrap=True)
    theirs = _matched(run.layers, other.layers) if other else []
    largest = max((layer.count for layer in run.layers), default=0)
    for index, layer in enumerate(run.layers):
        table.add_row(
            str(index),
            *((escape(_short(layer.name)),) if wide else ()),
            layer.operator.lower(),
            layer.kernel,
            f"{layer.macs:,}" if layer.macs else "",
            f"{layer.count:,}",
            f"{layer.count / layer.macs:.2f}" if layer.macs else "",
            *(_compared(layer.count, theirs[index]) if other else ()),
            f"[cyan]{bar(layer.count / max(1, largest), 24 if wide else 8)}[/]",
        )
    table.add_row(
        "",
        *(("",) if wide else ()),
        "[bold]an inference[/]",
        "",
        f"{run.macs:,}",
        f"[bold]{run.per_inference:,}[/]",
        f"{run.per_inference / run.macs:.2f}" if run.macs else "",
        *(_compared(run.per_inference, other.per_inference) if other else ()),
        "",
    )
    return table


def _short(name: str) -> str:
    """Converters join the names of fused layers with semicolons, and paths tell most at their end."""
    first = name.split(";")[0]
    return first if len(first) <= 30 else f"…{first[-29:]}"


def _title(other: Bench) -> str:
    return other.kernels if other.kernels != "builtin" else f"{other.board} {other.optimize}"


def _matched(layers: Sequence[LayerCount], others: Sequence[LayerCount]) -> list[int | None]:
    """The other run's count of each layer: by name, since passes may have removed some."""
    counts = {layer.name: layer.count for layer in others}
    return [counts.get(layer.name) for layer in layers]


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
