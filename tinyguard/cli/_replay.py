"""What `tinyguard attack --replay` prints."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from tinyguard.robustness.stored_inputs import Replay


def show_replay(console: Console, result: Replay) -> None:
    """A replay's figures as a table."""
    samples, apart = result.samples, result.differing_predictions
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("samples", f"{samples:,}")
    table.add_row("back end", result.backend)
    style = "green" if result.agreement.differing_bytes == 0 else "bold red"
    share = 100 * (1 - apart / samples)
    table.add_row("agreement with the host", f"[{style}]{share:.2f} %[/] ({samples - apart} of {samples})")
    table.add_row("differing bytes", f"[{style}]{result.agreement.differing_bytes:,}[/]")
    table.add_row("accuracy", f"{100 * result.accuracy:.2f} %")
    table.add_row("successes that hold", f"{result.survived:,} of {result.successes:,}")
    console.print(table)
    if result.same_model is False:
        console.print("the inputs were found on another network; the host is this one")
    if "XNNPACK" in result.backend:
        console.print("the default interpreter rounds otherwise than the device: its figures do not count")
    elif result.agreement.differing_bytes:
        console.print("`tinyguard diff` names the first layer that differs")
