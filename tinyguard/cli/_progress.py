# SPDX-License-Identifier: Apache-2.0
"""A progress bar over samples, on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tinyguard.cli._options import progress_console


@contextmanager
def sample_progress(what: str, total: int | None = None, done: int = 0) -> Iterator[Callable[..., None]]:
    """The body gets a function of the number of finished samples, and their total where it is known late.

    With a `total` the bar shows the time that is left, without one the time that has passed.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    time = TimeElapsedColumn() if total is None else TimeRemainingColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), time)
    hidden = not progress_console.is_terminal  # where it would leave an empty line
    with Progress(*columns, console=progress_console, transient=True, disable=hidden) as bar:
        task = bar.add_task(what, total=total, completed=done)

        def update(done: int, of: int | None = total) -> None:
            bar.update(task, completed=done, total=of)

        yield update
