# SPDX-License-Identifier: Apache-2.0
"""`tinyguard quantize`: a trained network and calibration data to one `.tflite`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tinyguard.cli._options import answer_option, console, json_option, print_json, progress_console
from tinyguard.errors import TinyguardError

if TYPE_CHECKING:
    from tinyguard.tflite import Normalization


@click.command()
@click.argument("source")
@click.option(
    "-o",
    "--out",
    "output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help=".tflite to write.",
)
@click.option(
    "--calibration", "calibration_text", metavar="DATA", required=True, help="Samples that set the ranges."
)
@click.option(
    "--samples", type=click.IntRange(min=1), default=500, show_default=True, help="Calibration samples."
)
@click.option("--scheme", type=click.Choice(["int8", "int16x8"]), default="int8", show_default=True)
@click.option(
    "--evaluate",
    "evaluation_text",
    metavar="DATA",
    help="Labelled samples for the accuracy figures; an .npz with real y gives errors.",
)
@answer_option
@click.option(
    "--role",
    "roles",
    multiple=True,
    metavar="[NAME|N=]ROLE",
    help="What an output means, written into the file: scores, probability, values or map; repeatable.",
)
@click.option(
    "--exits",
    metavar="auto|NAME|N,...",
    help="Outputs, all or these, become exits, shallowest first: softmaxes of the same classes, int8.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Evaluate at most so many samples.")
@click.option(
    "--normalization",
    "preset",
    type=click.Choice(["unit", "raw", "symmetric", "imagenet"]),
    help="What the network sees of pixels: 0..1 (the default), 0..255, -1..1, or ImageNet's mean and std.",
)
@click.option("--mean", help="Mean of pixel / 255, one number or one per channel: 0.49,0.48,0.45.")
@click.option("--std", help="Standard deviation of pixel / 255, likewise.")
@click.option("--classes", help="Class names in label order: cat,dog. Built-in data brings its own.")
@json_option
def command(
    source: str,
    output: Path,
    calibration_text: str,
    samples: int,
    scheme: str,
    evaluation_text: str | None,
    answer: str | None,
    roles: tuple[str, ...],
    exits: str | None,
    limit: int | None,
    preset: str | None,
    mean: str | None,
    std: str | None,
    classes: str | None,
    as_json: bool,
) -> None:
    """Quantize SOURCE: a .keras, .h5 or .onnx file, a SavedModel folder, a TorchScript or torch.export file,
    or MODULE:FUNCTION (FILE.py:FUNCTION) returning a torch.nn.Module; MODULE:FUNCTION:WEIGHTS.npz gives it
    weights that `tinyguard harden train` wrote.

    The report is printed and saved beside the model as NAME.report.json.
    """
    from tinyguard.data import load_data
    from tinyguard.files import write_atomically
    from tinyguard.quantize import quantize
    from tinyguard.quantize.roles import parse_roles

    if not output.parent.is_dir():
        raise TinyguardError(f"folder {output.parent} is not there: type mkdir -p {output.parent}")
    said = parse_roles(roles)
    names = tuple(name.strip() for name in classes.split(",")) if classes else None
    count = len(names) if names else None
    calibration = load_data(calibration_text, split="train", limit=samples, class_names=names, classes=count)
    names = names or calibration.class_names
    evaluation = None
    if evaluation_text is not None:
        evaluation = load_data(
            evaluation_text,
            limit=limit,
            class_names=names,
            classes=len(names) if names else None,
            real_targets=True,
        )
        if evaluation.y is None and evaluation.targets is None:
            raise TinyguardError(f"{evaluation_text} has no labels: save y beside x, or leave out --evaluate")
    with progress_console.status(f"quantizing {source} to {scheme}"):
        model, report = quantize(
            source,
            calibration,
            scheme,
            samples=samples,
            normalization=_normalization(preset, mean, std),
            evaluation=evaluation,
            class_names=names,
            roles=said,
            output=answer,
            exits=exits,
        )
    write_atomically(output, model)
    record = {"model": str(output), **report.as_record()}
    write_atomically(output.with_suffix(".report.json"), json.dumps(record, indent=2) + "\n")
    if as_json:
        print_json(record)
    else:
        console.print(report.table())
        console.print(f"wrote {output} and {output.with_suffix('.report.json').name}")


def _normalization(preset: str | None, mean: str | None, std: str | None) -> "Normalization | None":
    from tinyguard.data import PRESETS
    from tinyguard.tflite import Normalization

    if preset is not None and (mean is not None or std is not None):
        raise TinyguardError("--normalization and --mean / --std say the same thing: give one of them")
    if mean is None and std is None:
        return PRESETS[preset] if preset else None
    means, stds = _numbers("--mean", mean or "0"), _numbers("--std", std or "1")
    channels = max(len(means), len(stds))
    if min(stds) <= 0 or not {len(means), len(stds)} <= {1, channels}:
        raise TinyguardError("--mean and --std take one number, or one per channel; std is above 0")
    widen = channels // len(means), channels // len(stds)
    return Normalization(
        tuple(255 * value for value in means * widen[0]), tuple(255 * value for value in stds * widen[1])
    )


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise TinyguardError(
            f"{option} {text} is not a list of numbers: type {option} 0.49,0.48,0.45"
        ) from None
