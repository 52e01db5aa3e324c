# SPDX-License-Identifier: Apache-2.0
"""The `tinyguard` command: one file per command in this room, imported only when it is called."""

import importlib
import pkgutil

import click

from tinyguard.errors import TinyguardError
from tinyguard.version import VERSION


class _LazyGroup(click.Group):
    """Finds `tinyguard/cli/NAME.py` and its `command`; importing nothing else keeps `--help` quick."""

    def list_commands(self, context: click.Context) -> list[str]:
        del context
        return sorted(
            module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")
        )

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in self.list_commands(context):
            return None
        command: click.Command = importlib.import_module(f"tinyguard.cli.{name}").command
        return command


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="tinyguard")
def group() -> None:
    """Quantize, attack, harden and flash int8 networks on Cortex-M, bit for bit."""


def main() -> None:
    """Entry point: a TinyguardError becomes one line on stderr and exit status 1."""
    try:
        group.main(standalone_mode=False)
    except TinyguardError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(1) from None
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from None
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        raise SystemExit(130) from None
