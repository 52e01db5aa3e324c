# SPDX-License-Identifier: Apache-2.0
"""tinyguard harden filter: input filters in the model file, baked into the firmware by build and flash."""

from __future__ import annotations

from pathlib import Path

import click

from tinyguard.cli._model import model_argument
from tinyguard.cli._options import console, json_option, print_json
from tinyguard.cli._rewriting import rewriting
from tinyguard.tflite.record.filters import KINDS, parse_filter

_LISTING = "\n".join(
    f"  {':'.join([name, *(key.upper() for key in kind.defaults)]):26}"
    f"default {':'.join(map(str, kind.defaults.values()))}"
    for name, kind in KINDS.items()
)


@click.command(epilog=f"\b\nFilters:\n{_LISTING}")
@model_argument
@click.option(
    "--filter", "filters", metavar="NAME[:NUMBERS]", multiple=True,
    help="One of the filters below; several are applied in the order typed.",
)  # fmt: skip
@click.option("--replace", is_flag=True, help="Put them in the place of filters that MODEL has.")
@click.option("--remove", is_flag=True, help="Take the filters of MODEL away.")
@click.option(
    "-o", "--out", "output", required=True, type=click.Path(path_type=Path), help="The .tflite to write."
)
@json_option
def command(
    model: Path, filters: tuple[str, ...], replace: bool, remove: bool, output: Path, as_json: bool
) -> None:
    """Put input filters before MODEL, a .tflite file.

    The simulator, every back end, `build` and `flash` apply them before the first layer, the same in every
    byte; another run-time ignores them. An 8-bit network is needed.
    """
    from tinyguard.defenses.input_filters import check_new, with_filters
    from tinyguard.files import write_atomically

    if remove == bool(filters):
        raise click.UsageError(
            "name a --filter NAME[:NUMBERS], or --remove those that are there (see --help)"
        )
    chosen = [parse_filter(text) for text in filters]
    with rewriting(model, output) as content:
        if not replace and not remove:
            check_new(content, str(model))
        hardened = with_filters(content, chosen)
    write_atomically(output, hardened)
    if as_json:
        print_json({"model": str(output), "filters": [input_filter.as_json() for input_filter in chosen]})
    else:
        console.print(f"wrote {output}: {', '.join(map(str, chosen)) or 'no filter'} before the first layer")
