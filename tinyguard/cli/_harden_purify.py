# SPDX-License-Identifier: Apache-2.0
"""tinyguard harden purify: Pixel Defend on the host, from a file of inputs to a file of purified inputs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tinyguard.cli._options import console, json_option, print_json

if TYPE_CHECKING:
    from tinyguard.robustness.purified import Purification


@click.command()
@click.argument("data", metavar="ADV.NPZ|DATA")
@click.option("--pixel-cnn", "weights", metavar="WEIGHTS.NPZ", required=True, type=click.Path(path_type=Path),
              help="A PixelCNN, as models/digits/pixel_cnn.py trains it.")  # fmt: skip
@click.option("--eps", default="38/255", show_default=True,
              help="How far a value may move: a fraction of the pixel range, or 2codes.")  # fmt: skip
@click.option("--adaptive", metavar="BITS", type=click.FloatRange(min=0, min_open=True),
              help="Leave images alone that have at most so many bits per dimension.")  # fmt: skip
@click.option("--batch-size", type=click.IntRange(min=1), default=128, show_default=True,
              help="Images at a time; changes no result.")  # fmt: skip
@click.option("--limit", type=click.IntRange(min=1), help="Use the first N samples only.")
@click.option(
    "-o", "--out", "output", required=True, type=click.Path(path_type=Path), help="The .npz to write."
)
@json_option
def command(
    data: str,
    weights: Path,
    eps: str,
    adaptive: float | None,
    batch_size: int,
    limit: int | None,
    output: Path,
    as_json: bool,
) -> None:
    """Purify inputs with Pixel Defend: every value becomes the most likely one within eps, by a PixelCNN.

    On the host only. Codes are pixel - 128, as in networks whose input has scale 1/255 and zero point -128.
    `tinyguard attack MODEL --replay` and `eval --data` score the file written.
    """
    from tinyguard.cli._progress import sample_progress
    from tinyguard.defenses.pixel_cnn import load_pixel_cnn
    from tinyguard.errors import TinyguardError
    from tinyguard.robustness.purified import read_inputs, run_purification, save_purified, whole_codes

    if not output.absolute().parent.is_dir():
        raise TinyguardError(f"folder {output.parent} is not there: type mkdir -p {output.parent}")
    network, eps_codes = load_pixel_cnn(weights), whole_codes(eps)
    inputs = read_inputs(data, network, limit)
    with sample_progress("purified", len(inputs.x)) as update:
        purification = run_purification(
            network, inputs.x, eps_codes, adaptive_bits=adaptive, batch_size=batch_size, progress=update
        )
    save_purified(output, inputs, purification)
    if as_json:
        print_json({"purified": str(output), "pixel_cnn": str(weights), **purification.as_dict()})
    else:
        _show(purification, output)


def _show(purification: Purification, output: Path) -> None:
    from rich.table import Table

    cost, plural = purification.cost, "" if purification.threads == 1 else "s"
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("samples", f"{len(purification.x):,}, {purification.samples_purified:,} of them purified")
    table.add_row("eps", f"{purification.eps_codes} codes")
    table.add_row(
        "bits per dimension", f"{purification.bits_before:.3f} before, {purification.bits_after:.3f} after"
    )
    table.add_row(
        "milliseconds per image",
        f"{1e3 * purification.seconds_an_image:.2g} ({purification.threads} thread{plural}, "
        f"batches of {purification.batch_size})",
    )
    table.add_row("network evaluations per image", f"{cost.evaluations:,}, one after the other")
    table.add_row("MACs per evaluation", f"{cost.macs:,} at one pixel, float64")
    console.print(table)
    console.print(
        f"on the host only, not for a microcontroller: {cost.evaluations:,} evaluations x "
        f"{cost.macs:,} MACs = {cost.total_macs / 1e6:,.1f} million in floating point and "
        f"{cost.masses / 1e6:,.2f} million masses of logistics per image, before the network; "
        "with the whole PixelCNN evaluated at every value, as published, "
        f"{cost.published_macs / 1e6:,.0f} million MACs",
        soft_wrap=True,
    )
    console.print(f"wrote {output}: type tinyguard attack MODEL --replay {output}", soft_wrap=True)
