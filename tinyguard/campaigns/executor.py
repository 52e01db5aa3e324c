# SPDX-License-Identifier: Apache-2.0
"""Runs the pieces of a study on an executor, local or a Dask cluster, and keeps each as it finishes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tinyguard.backends.choose import is_port
from tinyguard.campaigns.cell import Cell, Piece
from tinyguard.campaigns.piece import run_piece
from tinyguard.campaigns.store import Store
from tinyguard.campaigns.workers import WorkerDiedError
from tinyguard.errors import TinyguardError
from tinyguard.quiet import one_line


@dataclass
class Progress:
    """How far a campaign is: finished pieces of each cell by index, and what failed."""

    pieces: tuple[Piece, ...]
    done: set[str] = field(default_factory=set)
    running: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)

    def samples(self, cell: Cell) -> tuple[int, int]:
        """Finished samples of a cell, and all of them."""
        own = [piece for piece in self.pieces if piece.cell.index == cell.index]
        finished = sum(piece.stop - piece.start for piece in own if piece.key in self.done)
        return finished, sum(piece.stop - piece.start for piece in own)


def run_pieces(
    pieces: Sequence[Piece],
    store: Store,
    executor: Executor,
    width: int,
    on_change: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Run what the store has not, at most `width` pieces at a time.

    A piece starts when the one it inherits from is done; a serial port serves one piece at a time. A
    piece that fails takes those that wait for it along, and no others.
    """
    progress = Progress(tuple(pieces))
    for piece in pieces:
        if store.has(piece.key):
            store.drop_damaged(piece.key)
        if store.has(piece.key):
            progress.done.add(piece.key)
    futures: dict[Future[bytes], Piece] = {}
    while True:
        for piece in _ready(progress, futures.values(), width - len(futures)):
            earlier = None if piece.after is None else store.read(piece.after)
            futures[executor.submit(run_piece, piece, earlier)] = piece
            progress.running.add(piece.key)
        on_change(progress)
        if not futures:
            return progress
        for future in wait(futures, return_when=FIRST_COMPLETED).done:
            piece = futures.pop(future)
            progress.running.discard(piece.key)
            _finish(piece, future, store, progress)


def _finish(piece: Piece, future: Future[bytes], store: Store, progress: Progress) -> None:
    try:
        store.write(piece.key, future.result())
    except WorkerDiedError as error:
        fewer = ": repeat with fewer --jobs" if error.killed else ""
        raise TinyguardError(f"{error}; what is done is kept{fewer}") from None
    except TinyguardError as error:
        progress.failed[piece.key] = str(error)
    except Exception as error:  # a lost Dask worker, memory: the other pieces are worth going on for
        progress.failed[piece.key] = one_line(error)
    else:
        progress.done.add(piece.key)


def _ready(progress: Progress, running: Any, free: int) -> Iterator[Piece]:
    """Up to `free` pieces that may start now."""
    ports = {piece.cell.network.backend for piece in running if _is_port(piece)}
    keys = {piece.key for piece in running}
    for piece in progress.pieces:
        if free < 1:
            return
        if piece.after in progress.failed and piece.key not in progress.failed:
            progress.failed[piece.key] = f"waits for a piece that failed: {progress.failed[piece.after]}"
        begun = piece.key in progress.done or piece.key in keys or piece.key in progress.failed
        waits = piece.after is not None and piece.after not in progress.done
        if begun or waits or (_is_port(piece) and piece.cell.network.backend in ports):
            continue
        if _is_port(piece):
            ports.add(piece.cell.network.backend)
        keys.add(piece.key)
        free -= 1
        yield piece


def _is_port(piece: Piece) -> bool:
    return is_port(piece.cell.network.backend)


@contextmanager
def cluster(address: str) -> Iterator[tuple[Executor, int]]:
    """The workers of the Dask scheduler at `address`, each thread of theirs one piece at a time."""
    try:
        from distributed import Client
    except ImportError:
        raise TinyguardError("--scheduler needs Dask: type pip install 'tinyguard[cluster]'") from None
    try:
        client = Client(address, timeout="10s")
    except (OSError, ValueError, TimeoutError):
        raise TinyguardError(
            f"no Dask scheduler answers at {address}: start one with `dask scheduler` and `dask worker`"
        ) from None
    with client:
        width = sum(client.nthreads().values())
        if width < 1:
            raise TinyguardError(
                f"the scheduler at {address} has no workers: start one with `dask worker {address}`"
            )
        yield client.get_executor(pure=False), width
