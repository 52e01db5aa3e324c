# SPDX-License-Identifier: Apache-2.0
"""Which process a pid stands for: pids are reused, so a pid alone names nothing."""

import os
import signal
import subprocess
import time
from pathlib import Path

_STATE_FIELD = 0
_START_FIELD = 19
_TERM_S = 3.0


def start_time(pid: int) -> str | None:
    """A token that two processes with the same pid do not share; None when there is no such process."""
    if Path("/proc/self/stat").exists():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[_STATE_FIELD] == "Z" else fields[_START_FIELD]
    shown = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return shown.stdout.strip() or None


def end(pid: int, started: str) -> bool:
    """End the process `pid` that started at `started`; False when it was gone. Kills after 3 s."""
    if start_time(pid) != started:
        return False
    _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + _TERM_S
    while start_time(pid) == started:
        if time.monotonic() > deadline:
            _signal(pid, signal.SIGKILL)
            deadline = float("inf")
        time.sleep(0.02)
    return True


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
