# SPDX-License-Identifier: Apache-2.0
"""tinyguard harden stochastic: Monte Carlo dropout in the model file, carried out on the device."""

from __future__ import annotations

import secrets
from pathlib import Path

import click

from tinyguard.cli._model import model_argument
from tinyguard.cli._options import answer_option, console, json_option, print_json
from tinyguard.cli._rewriting import rewriting


@click.command()
@model_argument
@click.option("--sites", default="auto", show_default=True, metavar="auto|NAMES",
              help="Layers whose elements are dropped, by name or number.")  # fmt: skip
@click.option(
    "--p", "rate", type=float, default=0.1, show_default=True, help="Share that is dropped, 1/256 to 1/2."
)
@click.option(
    "--passes", type=click.IntRange(1, 100), default=10, show_default=True, help="Passes per inference."
)
@click.option("--abstain-above", type=click.FloatRange(min=0), metavar="BITS",
              help="Flag answers whose predictive entropy is above this.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**64 - 1),
              help="64 bits; by chance where missing. Boards with a generator draw their own.")  # fmt: skip
@click.option("--remove", is_flag=True, help="Make MODEL deterministic again.")
@click.option(
    "-o", "--out", "output", required=True, type=click.Path(path_type=Path), help="The .tflite to write."
)
@answer_option
@json_option
def command(
    model: Path,
    sites: str,
    rate: float,
    passes: int,
    abstain_above: float | None,
    seed: int | None,
    remove: bool,
    output: Path,
    answer: str | None,
    as_json: bool,
) -> None:
    """Run MODEL, an int8 .tflite file, several times with random masks, and answer with the mean.

    Layers before the first site run once. Output 0 is the mean of the softmax outputs; output 1 has the
    predictive entropy, the expected entropy, their difference (mutual information), all in 1/1024 bit, and
    whether to abstain. The simulator, `build` and `flash` draw the same masks, bit for bit, from the seed.

    Of a network with several outputs --output names the one that is kept, alone.
    """
    from tinyguard.defenses.monte_carlo_dropout import (
        dropped_of,
        find_sites,
        plain_graph,
        threshold_of,
        with_stochastic,
    )
    from tinyguard.files import write_atomically
    from tinyguard.tflite.record.stochastic import Stochastic

    chosen = None
    with rewriting(model, output, answer) as content:
        if not remove:
            names = find_sites(plain_graph(content), [part.strip() for part in sites.split(",")])
            seed = secrets.randbits(64) if seed is None else seed
            chosen = Stochastic(names, dropped_of(rate), passes, seed, threshold_of(abstain_above))
        hardened = with_stochastic(content, chosen)
    write_atomically(output, hardened)
    if as_json:
        print_json({"model": str(output), "stochastic": None if chosen is None else chosen.as_json()})
    elif chosen is None:
        console.print(f"wrote {output}: one pass, no masks")
    else:
        where = ", ".join(name.split(";")[0] for name in chosen.sites)
        console.print(
            f"wrote {output}: {chosen.passes} passes, {chosen.rate:.3g} dropped after {where}, "
            f"seed {chosen.seed}"
        )
