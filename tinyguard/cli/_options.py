# SPDX-License-Identifier: Apache-2.0
"""What several commands share: output as JSON, and the console for people."""

import json
from typing import Any

import click
from rich.console import Console

console = Console(highlight=False, emoji=False)
progress_console = Console(stderr=True, highlight=False, emoji=False)

json_option = click.option("--json", "as_json", is_flag=True, help="Print machine-readable JSON on stdout.")

answer_option = click.option(
    "--output",
    "answer",
    metavar="NAME|N",
    help="Of a network with several outputs the one that is the answer.",
)


def print_json(result: dict[str, Any] | list[Any]) -> None:
    """One JSON document on stdout, nothing else."""
    click.echo(json.dumps(result, indent=2))
