# SPDX-License-Identifier: Apache-2.0
"""`tinyguard ports`: the serial ports that may lead to a board."""

from dataclasses import asdict

import click
from rich.table import Table

from tinyguard.cli._options import console, json_option, print_json
from tinyguard.flashing.ports import ports


@click.command(help=__doc__)
@json_option
def command(as_json: bool) -> None:
    seen = ports()
    if as_json:
        print_json([asdict(port) for port in seen])
        return
    if not seen:
        console.print(
            "no board found: plug one in, or start one with `tinyguard flash MODEL --board mps2-an500`"
        )
        return
    table = Table("port", "kind", "board", "description", "", box=None, pad_edge=False)
    for port in seen:
        note = "" if port.usable else "no permission: sudo usermod -aG dialout $USER"
        table.add_row(port.port, port.kind, " or ".join(port.boards) or "unknown", port.description, note)
    console.print(table)
