# SPDX-License-Identifier: Apache-2.0
"""`tinyguard doctor`: what is installed, what is missing, the command that installs it."""

import platform
from dataclasses import asdict

import click
from rich.table import Table

from tinyguard.cli._options import console, json_option, print_json
from tinyguard.native.shared_library import library
from tinyguard.toolchain.installed import Package, Tool, install_commands, packages, tools

_WITHOUT_LOOPS = (
    "torch alone, half as fast, and Pixel Defend a tenth: there is no C compiler (gcc), or no cache folder "
    "to write"
)


@click.command(help=__doc__)
@json_option
def command(as_json: bool) -> None:
    found_tools, found_packages, commands = tools(), packages(), install_commands()
    if as_json:
        print_json(
            {
                "python": platform.python_version(),
                "tools": [asdict(tool) for tool in found_tools],
                "packages": [asdict(package) for package in found_packages],
                "native_loops": library() is not None,
                "missing": commands,
            }
        )
        return
    console.print(f"Python {platform.python_version()}")
    console.print(_tool_table(found_tools))
    console.print(_package_table(found_packages))
    console.print(f"simulator: {'loops in C' if library() else _WITHOUT_LOOPS}")
    for line in commands:
        console.print(f"to install what is missing: [bold]{line.replace('[', chr(92) + '[')}[/bold]")
    if not commands:
        console.print("nothing that is needed is missing")


def _tool_table(tools: list[Tool]) -> Table:
    table = Table("", "program", "version", "for", "install", box=None, pad_edge=False, title_justify="left")
    for tool in tools:
        table.add_row(
            _mark(tool.path is not None),
            tool.name,
            tool.version or ("" if tool.path is None else "?"),
            tool.purpose,
            "" if tool.path else tool.install,
        )
    return table


def _package_table(packages: list[Package]) -> Table:
    table = Table("", "package", "version", "wanted", "for", box=None, pad_edge=False)
    for package in packages:
        table.add_row(
            _mark(package.version is not None),
            package.name,
            package.version or "",
            package.required or "any",
            ", ".join(package.extras) or "core",
        )
    return table


def _mark(present: bool) -> str:
    return "[green]ok[/green]" if present else "[red]--[/red]"
