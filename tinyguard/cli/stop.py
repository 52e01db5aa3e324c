# SPDX-License-Identifier: Apache-2.0
"""`tinyguard stop`: end emulated boards that `tinyguard flash` started."""

import click

from tinyguard import flashing
from tinyguard.cli._options import console, json_option, print_json
from tinyguard.errors import TinyguardError


@click.command(help=__doc__)
@click.argument("port", required=False)
@click.option("--all", "everything", is_flag=True, help="End every emulated board.")
@json_option
def command(port: str | None, everything: bool, as_json: bool) -> None:
    if port and everything:
        raise click.UsageError("give a PORT or --all, not both")
    stopped = flashing.stop_all() if everything else [flashing.stop(port or _only_port())]
    if as_json:
        print_json(
            [{"board": emulator.board, "port": emulator.port, "pid": emulator.pid} for emulator in stopped]
        )
        return
    for emulator in stopped:
        console.print(f"stopped {emulator.board} at {emulator.port} (pid {emulator.pid})")
    if not stopped:
        console.print("no emulated board runs")


def _only_port() -> str:
    emulators = flashing.running()
    if len(emulators) == 1:
        return emulators[0].port
    if not emulators:
        raise TinyguardError("no emulated board runs; nothing to stop")
    names = ", ".join(emulator.port for emulator in emulators)
    raise TinyguardError(f"{len(emulators)} emulated boards run: {names}; give one of them, or --all")
