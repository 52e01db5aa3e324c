# SPDX-License-Identifier: Apache-2.0
"""tinyguard harden squeeze: detection of attacks by feature squeezing, on the device too."""

from __future__ import annotations

from pathlib import Path

import click

from tinyguard.cli._model import model_argument
from tinyguard.cli._options import answer_option, console, json_option, print_json
from tinyguard.cli._rewriting import rewriting


@click.command()
@model_argument
@click.option("--squeezer", "squeezers", metavar="NAME[:NUMBERS]", multiple=True,
              help="A filter, as `harden filter` lists them; the farthest of several counts.")  # fmt: skip
@click.option("--data", help="Clean samples to set the threshold from.")
@click.option("--fpr", type=float, default=0.05, show_default=True, help="Share of them that may be flagged.")
@click.option("--limit", type=click.IntRange(min=1), default=5000, show_default=True, help="Use the first N.")
@click.option("--threshold", type=click.IntRange(0, 510), help="Set it yourself, an L1 distance in 1/256.")
@click.option("--remove", is_flag=True, help="Take the feature squeezing of MODEL away.")
@click.option(
    "-o", "--out", "output", required=True, type=click.Path(path_type=Path), help="The .tflite to write."
)
@answer_option
@json_option
def command(
    model: Path,
    squeezers: tuple[str, ...],
    data: str | None,
    fpr: float,
    limit: int,
    threshold: int | None,
    remove: bool,
    output: Path,
    answer: str | None,
    as_json: bool,
) -> None:
    """Let MODEL, an int8 .tflite file, notice inputs that squeezing would change its mind about.

    It runs on the raw input and on each squeezed version. Output 0 is the answer to the raw input; output 1
    has the largest L1 distance to a squeezed version's, in 1/256, and whether that is above the threshold.

    Of a network with several outputs --output names the one that is kept, alone.
    """
    from tinyguard.cli._progress import sample_progress
    from tinyguard.data.network_codes import read_codes
    from tinyguard.defenses.feature_squeezing import Threshold, distances, threshold_for, with_squeezing
    from tinyguard.files import write_atomically
    from tinyguard.tflite import read_graph
    from tinyguard.tflite.record.filters import parse_filter
    from tinyguard.tflite.record.squeezing import Squeezing

    if remove == bool(squeezers):
        raise click.UsageError("name a --squeezer NAME[:NUMBERS], or --remove what is there (see --help)")
    if not remove and (data is None) == (threshold is None):
        raise click.UsageError("give --data to set the threshold from, or the --threshold itself")
    chosen, chosen_threshold = None, Threshold(-1 if threshold is None else threshold, float("nan"))
    with rewriting(model, output, answer) as content:
        if not remove:
            plain = with_squeezing(content, None)
            chosen = Squeezing(tuple(parse_filter(text) for text in squeezers), chosen_threshold.value)
            with_squeezing(content, chosen)
        if chosen is not None and data is not None:
            codes, _ = read_codes(model, read_graph(plain), data, limit)
            with sample_progress("clean samples", len(codes)) as update:
                chosen_threshold = threshold_for(distances(plain, chosen, codes, update), fpr)
            chosen = Squeezing(chosen.squeezers, chosen_threshold.value)
        hardened = with_squeezing(content, chosen)
    write_atomically(output, hardened)
    if as_json:
        attained = None if data is None or remove else chosen_threshold.attained
        section = None if chosen is None else chosen.as_json()
        print_json({"model": str(output), "squeezing": section, "false_positives": attained})
    elif chosen is None:
        console.print(f"wrote {output}: no feature squeezing")
    else:
        names = ", ".join(map(str, chosen.squeezers))
        rate = (
            ""
            if data is None
            else f", above which {100 * chosen_threshold.attained:.2f} % of {len(codes):,} clean samples lie"
        )
        console.print(f"wrote {output}: {names}; threshold {chosen_threshold.value}{rate}")
