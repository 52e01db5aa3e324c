# SPDX-License-Identifier: Apache-2.0
"""Running a programmer's command and showing what it says as it says it."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from tinyguard.boards import Board
from tinyguard.errors import TinyguardError


@dataclass(frozen=True)
class Done:
    status: int
    output: str

    @property
    def last_error(self) -> str:
        """The line that most likely says what went wrong."""
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        errors = [line for line in lines if "error" in line.lower()]
        return (errors or lines or ["it said nothing"])[-1]


def no_probe(board: Board) -> TinyguardError:
    """What every runner says when it finds nothing plugged in."""
    return TinyguardError(
        f"no debug probe found for {board.name}: plug the board in; `tinyguard ports` lists what is there"
    )


def run_tool(command: list[str], progress: Callable[[str], None]) -> Done:
    """Run `command`, stdout and stderr together; every line goes to `progress`."""
    lines = []
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            progress(line.rstrip())
    return Done(process.returncode, "".join(lines))
