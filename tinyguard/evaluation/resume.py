# SPDX-License-Identifier: Apache-2.0
"""What an interrupted evaluation had done: outputs and counts, sample by sample, in one file."""

import hashlib
import io
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tinyguard.files import write_atomically

_SAVE_EVERY_S = 1.0


def run_key(*parts: bytes | str) -> str:
    """Names a run: the same network, inputs and back end give the same key."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()[:16]


class RunRecord:
    """Outputs and counts of the samples done so far, saved at most once per second."""

    def __init__(self, folder: Path, key: str) -> None:
        self.path = folder / f"{key}.npz"
        self.outputs: list[tuple[np.ndarray, ...]] = []
        self.counts: list[int] = []  # -1 where the count was disturbed and says nothing
        self._saved_at = 0.0

    def load(self) -> int:
        """Take up an earlier run; the number of samples it had done, 0 when there is none."""
        try:
            with np.load(self.path, allow_pickle=False) as stored:
                columns = [stored[f"output_{i}"] for i in range(int(stored["outputs"]))]
                self.counts = stored["counts"].tolist()
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return 0
        self.outputs = list(zip(*columns, strict=True))
        return len(self.outputs)

    def append(self, outputs: Sequence[np.ndarray], count: int) -> None:
        self.outputs.append(tuple(outputs))
        self.counts.append(count)
        if time.monotonic() - self._saved_at > _SAVE_EVERY_S:
            self.save()

    def save(self) -> None:
        """Write what is there; an interruption in the middle leaves the earlier file."""
        if not self.outputs:
            return
        stream = io.BytesIO()
        columns = {f"output_{i}": column for i, column in enumerate(self.columns())}
        np.savez(stream, outputs=len(columns), counts=np.array(self.counts, np.int64), **columns)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, stream.getvalue())
        self._saved_at = time.monotonic()

    def columns(self) -> tuple[np.ndarray, ...]:
        """One array (samples, *shape) per output."""
        return tuple(np.stack(column) for column in zip(*self.outputs, strict=True))

    def discard(self) -> None:
        """The run is complete: forget it."""
        self.path.unlink(missing_ok=True)
