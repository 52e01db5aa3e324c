# SPDX-License-Identifier: Apache-2.0
"""The options of every command that generates C; their names are the keys of codegen's Options."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

_F = TypeVar("_F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--optimize",
        type=click.Choice(["speed", "balanced", "size"]),
        default="balanced",
        show_default=True,
        help="What to choose kernels for.",
    ),
    click.option(
        "--kernels",
        type=click.Choice(["builtin", "cmsis-nn"]),
        default="builtin",
        show_default=True,
        help="tinyguard's own kernels, or Arm's where CMSIS-NN has one.",
    ),
    click.option(
        "--cmsis-nn",
        type=click.Path(path_type=Path),
        help="Your CMSIS-NN: DIR/Include and DIR/CORE/libcmsis-nn.a; default: $CMSIS_NN_ROOT.",
    ),
    click.option(
        "--flash-budget",
        type=click.IntRange(min=1),
        metavar="BYTES",
        help="Flash that constants and kernels may take.",
    ),
    click.option(
        "--passes/--no-passes",
        default=True,
        show_default=True,
        help="Rewrite the network first, to the same outputs: dead channels, padding, clamps.",
    ),
)


def codegen_options(command: _F) -> _F:
    """Decorate a click command; it gets them as keywords."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
