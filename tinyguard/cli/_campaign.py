# SPDX-License-Identifier: Apache-2.0
"""Runs the pieces of a campaign and shows how far they are; `attack --config` and `harden evaluate` do."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinyguard.cli._options import progress_console
from tinyguard.errors import TinyguardError

if TYPE_CHECKING:
    from rich.table import Table

    from tinyguard.campaigns.cell import Cell, Piece
    from tinyguard.campaigns.executor import Progress
    from tinyguard.campaigns.store import Store
    from tinyguard.campaigns.study import Study

_SHOWN = 12


@dataclass(frozen=True)
class Work:
    """The pieces of a campaign after a run, and where they are kept."""

    pieces: tuple[Piece, ...]
    store: Store
    failed: dict[str, str]

    def check(self) -> None:
        """Raise TinyguardError where pieces failed."""
        if self.failed:
            first = next(piece for piece in self.pieces if piece.key in self.failed)
            raise TinyguardError(
                f"{len(self.failed)} of {len(self.pieces)} pieces failed; {_name(first.cell)}: "
                f"{self.failed[first.key]} (repeat the command to try them again)"
            )


def run_cells(
    study: Study,
    cells: tuple[Cell, ...],
    folder: Path,
    jobs: int,
    scheduler: str | None = None,
    wanted: Sequence[Cell] | None = None,
) -> Work:
    """Run what of the cells, or of those among them that are `wanted`, is not kept in `folder` yet, and show
    progress.

    Raises TinyguardError where the user interrupts it; what is done is kept.
    """
    from tinyguard.campaigns.executor import cluster, run_pieces
    from tinyguard.campaigns.grid import pieces_of
    from tinyguard.campaigns.leftovers import leftovers
    from tinyguard.campaigns.store import Store
    from tinyguard.campaigns.workers import local_workers

    pieces = pieces_of(study, cells, folder.resolve() / "crafted")
    wanted = cells if wanted is None else wanted
    indices = {cell.index for cell in wanted}
    chosen = tuple(piece for piece in pieces if piece.cell.index in indices)
    store = Store(folder / "cells")
    for line in leftovers(store, chosen):
        progress_console.print(line, soft_wrap=True)
    workers = cluster(scheduler) if scheduler else local_workers(jobs)
    try:
        with workers as (executor, width), _Shown(wanted, chosen) as shown:
            progress = run_pieces(chosen, store, executor, width, shown)
    except KeyboardInterrupt:
        kept = sum(store.has(piece.key) for piece in chosen)
        raise TinyguardError(
            f"interrupted; {kept} of {len(chosen)} pieces are kept in {folder}; repeat the command to go on"
        ) from None
    return Work(pieces, store, progress.failed)


class _Shown:
    """Progress of the cells: a live table on a terminal, a line for each finished cell elsewhere."""

    def __init__(self, cells: Sequence[Cell], pieces: tuple[Piece, ...]) -> None:
        self._cells = [cell for cell in cells if cell.runs]
        self._pieces = pieces
        self._started = time.monotonic()
        self._said: set[int] = set()
        self._at_start: int | None = None
        self._live: Any = None

    def __enter__(self) -> _Shown:
        if progress_console.is_terminal:
            from rich.live import Live

            self._live = Live(console=progress_console, transient=True, refresh_per_second=4)
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, progress: Progress) -> None:
        if self._at_start is None:
            self._at_start = len(progress.done)
        if self._live is not None:
            self._live.update(self._table(progress))
            return
        for cell in self._cells:
            done, total = progress.samples(cell)
            if done == total and cell.index not in self._said:
                self._said.add(cell.index)
                progress_console.print(f"{_name(cell)}: {total} samples; {self._left(progress)}")

    def _table(self, progress: Progress) -> Table:
        from rich.table import Table

        table = Table(title=self._left(progress), title_justify="left", box=None, pad_edge=False)
        for column in ("network", "attack", "setting", "eps"):
            table.add_column(column)
        table.add_column("samples", justify="right")
        running = {piece.cell.index for piece in self._pieces if piece.key in progress.running}
        states = [(cell, *progress.samples(cell)) for cell in self._cells]
        open_ = [state for state in states if state[1] < state[2]]
        open_.sort(key=lambda state: state[0].index not in running)
        for cell, done, total in open_[:_SHOWN]:
            style = "bold" if cell.index in running else "dim"
            eps = "" if cell.eps is None else f"{cell.eps:.4g}"
            names = (cell.network.name, cell.entry.label, _how(cell), eps)
            table.add_row(*names, f"{done}/{total}", style=style)
        if len(open_) > _SHOWN:
            table.add_row(f"and {len(open_) - _SHOWN} more", style="dim")
        return table

    def _left(self, progress: Progress) -> str:
        elapsed = time.monotonic() - self._started
        done = len(progress.done)
        return f"{done} of {len(self._pieces)} pieces, {elapsed / 60:.1f} min"


def _name(cell: Cell) -> str:
    eps = "" if cell.eps is None else f" eps {cell.eps:.4g}"
    return f"{cell.network.name}, {cell.entry.label}, {_how(cell)}{eps}"


def _how(cell: Cell) -> str:
    return f"{cell.setting}, checks" if cell.check else cell.setting
