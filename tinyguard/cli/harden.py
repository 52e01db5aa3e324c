# SPDX-License-Identifier: Apache-2.0
"""tinyguard harden: one file per defense, `_harden_NAME.py` with its `command`, imported when called."""

import importlib
import pkgutil

import click

import tinyguard.cli

_PREFIX = "_harden_"


class _Defenses(click.Group):
    """Finds the subcommands by their files."""

    def list_commands(self, context: click.Context) -> list[str]:
        del context
        names = (module.name for module in pkgutil.iter_modules(tinyguard.cli.__path__))
        return sorted(name.removeprefix(_PREFIX) for name in names if name.startswith(_PREFIX))

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in self.list_commands(context):
            return None
        command: click.Command = importlib.import_module(f"tinyguard.cli.{_PREFIX}{name}").command
        return command


@click.command(cls=_Defenses)
def command() -> None:
    """Defend a network: filters before it, on the device too, or weights trained against attacks."""
