# SPDX-License-Identifier: Apache-2.0
"""The emulated boards that run now: one JSON record each in a folder of the user's."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from tinyguard.errors import TinyguardError
from tinyguard.files import write_atomically
from tinyguard.flashing.processes import end, start_time


@dataclass(frozen=True)
class Running:
    """An emulated board. `started` tells its process from a later one with the same pid."""

    board: str
    port: str
    pid: int
    started: str
    image: str
    flash_bytes: int
    ram_bytes: int
    sha256: str


def state_folder() -> Path:
    """`$XDG_RUNTIME_DIR/tinyguard`, or `~/.cache/tinyguard/running`; made when missing."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(runtime) / "tinyguard" if runtime else Path.home() / ".cache" / "tinyguard" / "running"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def record(emulator: Running) -> None:
    write_atomically(state_folder() / f"{emulator.pid}.json", json.dumps(asdict(emulator), indent=2) + "\n")


def running() -> list[Running]:
    """Emulated boards that are alive, by port; records of dead ones are removed."""
    alive = []
    for path in state_folder().glob("*.json"):
        try:
            emulator = Running(**json.loads(path.read_text()))
        except FileNotFoundError:
            continue
        except (ValueError, TypeError):
            path.unlink(missing_ok=True)
            continue
        if start_time(emulator.pid) == emulator.started:
            alive.append(emulator)
        else:
            path.unlink(missing_ok=True)
    return sorted(alive, key=lambda emulator: (len(emulator.port), emulator.port))


def emulator_of(port: str) -> Running | None:
    """The emulated board at `port`, or None: pty numbers are reused, so ask before writing to one."""
    return next((emulator for emulator in running() if emulator.port == port), None)


def stop(port: str) -> Running:
    """End the emulated board at `port`; raises TinyguardError when none runs there."""
    emulator = emulator_of(port)
    if emulator is None:
        raise TinyguardError(f"no emulated board runs at {port}; `tinyguard boards --running` lists them")
    _end(emulator)
    return emulator


def stop_all() -> list[Running]:
    """End every emulated board; returns those that ran."""
    emulators = running()
    for emulator in emulators:
        _end(emulator)
    return emulators


def _end(emulator: Running) -> None:
    end(emulator.pid, emulator.started)
    (state_folder() / f"{emulator.pid}.json").unlink(missing_ok=True)
