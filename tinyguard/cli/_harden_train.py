# SPDX-License-Identifier: Apache-2.0
"""tinyguard harden train: weights trained against attacks, of a float network or of the integer one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tinyguard.cli._options import answer_option, console, json_option, print_json, progress_console
from tinyguard.training.recipes import EXIT_ATTACKS, RECIPES, SCHEDULES

if TYPE_CHECKING:
    from tinyguard.data import Samples

_LISTING = "\n".join(f"  {recipe.name:12} {recipe.summary}" for recipe in RECIPES.values())


@click.command(epilog=f"\b\nRecipes:\n{_LISTING}")
@click.argument("source")
@click.option("--recipe", required=True, metavar="NAME", help="One of the recipes below.")
@click.option("--data", required=True, metavar="DATA", help="Labelled samples to train on: cifar10:train.")
@click.option(
    "--validation", metavar="DATA|N",
    help="Labelled samples that choose the epoch, or how many of --data to hold out for it. "
    "Default: up to 1,000 of --data. Never give test samples.",
)  # fmt: skip
@click.option(
    "-o", "--out", "output", required=True, type=click.Path(path_type=Path), help="The file to write."
)
@click.option(
    "--schedule", type=click.Choice(SCHEDULES), default="cpu", show_default=True,
    help="paper: the whole of it. cpu: 15 fast epochs (int8-at: none), then 5 of the recipe, 3 steps on "
    "20,000 images; distill: 20 epochs on all.",
)  # fmt: skip
@click.option(
    "--eps", metavar="SHARE", help="Linf budget, 8/255 or 0.03 of the pixel range. Default: the recipe's."
)
@click.option("--steps", type=click.IntRange(min=1), help="Attack steps in the loop.")
@click.option("--step-size", metavar="SHARE", help="Size of one of them.")
@click.option("--epochs", type=click.IntRange(min=0), help="Epochs of the recipe.")
@click.option("--warm-up", type=click.IntRange(min=0), help="Fast epochs before them.")
@click.option("--images", type=click.IntRange(min=1), help="Images of an epoch of the recipe, drawn anew.")
@click.option("--batch", type=click.IntRange(min=2), help="Images of a step.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Largest learning rate.")
@click.option("--warm-up-rate", type=click.FloatRange(min=0, min_open=True), help="That of the fast epochs.")
@click.option(
    "--average", type=click.FloatRange(0, 1, max_open=True), help="Kept per step by the moving average."
)
@click.option("--patience", type=click.IntRange(min=1), help="Epochs without a better one before a stop.")
@click.option(
    "--clean", type=click.FloatRange(0, 1), help="pgd-at, fast, int8-at: weight of clean images in the loss."
)
@click.option("--beta", type=click.FloatRange(min=0), help="trades: weight of the divergence.")
@click.option(
    "--exit-attack", type=click.Choice(EXIT_ATTACKS),
    help="Several exits: the mean loss of all, or each exit's own, of which the worst for all is kept.",
)  # fmt: skip
@click.option(
    "--adversarial-weight", type=click.FloatRange(min=0),
    help="Several exits: weight of attacked images in the loss, clean ones 1. 0 with exits-at: no attack.",
)  # fmt: skip
@click.option("--auxiliary", multiple=True, metavar="SOURCE", help="ensemble-at: a static network; give two.")
@click.option(
    "--rescale/--keep-scales", default=None, help="int8-at: weight scales follow the weights (the default)."
)
@click.option(
    "--augment/--no-augment", default=None, help="Crops and flips of images of 28x28 pixels or more."
)
@click.option(
    "--bfloat16/--float32", default=None,
    help="Of convolutions in float networks. Default: bfloat16 where the processor has it, twice as fast.",
)  # fmt: skip
@click.option(
    "--normalization", type=click.Choice(["unit", "raw", "symmetric", "imagenet"]), default="unit",
    show_default=True, help="What a float network sees of pixels: 0..1, 0..255, -1..1, or as ImageNet.",
)  # fmt: skip
@click.option("--limit", type=click.IntRange(min=1), help="Use at most so many samples of --data.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="Threads; torch's own number when left out.")
@click.option("--resume", is_flag=True, help="Go on where an interrupted run stopped.")
@answer_option
@json_option
def command(source: str, output: Path, answer: str | None, as_json: bool, **options: Any) -> None:
    """Train SOURCE to withstand attacks: a PyTorch MODULE:FUNCTION or a .keras file; with int8-at a .tflite.

    Written are a Keras file, the weights of a PyTorch network as .npz (tinyguard quantize
    MODULE:FUNCTION:WEIGHTS.npz takes them), or the .tflite with the trained constants; NAME.training.json
    beside it has every setting and figure.

    int8-at goes on from what its SOURCE can do: quantize a network that pgd-at made. One that was shown no
    attack needs fast epochs first, --warm-up 15.

    Of a network with several outputs the one that --output names is trained, and the file has that one alone.
    """
    import torch

    from tinyguard.cli._progress import sample_progress
    from tinyguard.data import PRESETS, load_data
    from tinyguard.errors import TinyguardError
    from tinyguard.training.recipes import settings_for
    from tinyguard.training.train import Job, Watcher, run

    settings = settings_for(options["recipe"], options["schedule"], _given(options))
    if not output.absolute().parent.is_dir():
        raise TinyguardError(f"folder {output.parent} is not there: type mkdir -p {output.parent}")
    if options["auxiliary"] and settings.recipe != "ensemble-at":
        raise TinyguardError(f"--auxiliary is for ensemble-at, and the recipe is {settings.recipe}")
    if options["threads"]:
        torch.set_num_threads(options["threads"])
    training = load_data(options["data"], split="train", limit=options["limit"])
    job = Job(
        source,
        settings,
        training,
        output,
        _validation(options["validation"], training),
        PRESETS[options["normalization"]],
        options["auxiliary"],
        options["resume"],
        answer,
    )
    with sample_progress(f"{settings.recipe}, {source}") as update:

        def watch(what: str, done: int, total: int) -> None:
            del what
            update(done, total)

        record = run(job, Watcher(_print_epoch, watch))
    if as_json:
        print_json(record)
    else:
        _show(record)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """What was typed, as settings have it."""
    names = (
        "steps", "epochs", "warm_up", "images", "batch", "rate", "warm_up_rate", "average", "patience",
        "clean", "beta", "rescale", "augment", "seed", "exit_attack", "adversarial_weight",
    )  # fmt: skip
    given = {name: options[name] for name in names}
    given["eps"] = _share("eps", options["eps"])
    given["step_size"] = _share("step-size", options["step_size"])
    given["bfloat16"] = _has_bfloat16() if options["bfloat16"] is None else options["bfloat16"]
    return given


def _has_bfloat16() -> bool:
    import torch

    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def _share(name: str, text: str | None) -> float | None:
    from tinyguard.errors import TinyguardError

    if text is None:
        return None
    try:
        above, _, below = text.partition("/")
        value = float(above) / (float(below) if below else 1.0)
    except (ValueError, ZeroDivisionError):
        value = -1.0
    if not 0 < value <= 1:
        raise TinyguardError(
            f"--{name} {text} is no fraction of the pixel range, above 0 to 1: type 8/255 or 0.03"
        )
    return value


def _validation(text: str | None, training: Samples) -> int | Samples | None:
    from tinyguard.data import NAMES, load_data
    from tinyguard.errors import TinyguardError

    if text is None or text.isdecimal():
        return int(text) if text else None
    name, *rest = text.split(":")
    if name in NAMES and rest[:1] == ["test"]:
        raise TinyguardError(
            f"--validation {text} would choose the network by its test samples: give other data, or a "
            "number of samples of --data to hold out"
        )
    return load_data(text, split="train", class_names=training.class_names)


def _print_epoch(figures: dict[str, Any]) -> None:
    progress_console.print(
        f"epoch {figures['epoch']} {figures['phase']}  loss {figures['loss']:.4f}  held out: clean "
        f"{100 * figures['clean_accuracy']:.2f} %, robust {100 * figures['robust_accuracy']:.2f} %  "
        f"{figures['training_seconds'] + figures['validation_seconds']:.0f} s"
        + ("  robustness collapsed: back to the best epoch" if figures["collapsed"] else ""),
        soft_wrap=True,
    )


def _show(record: dict[str, Any]) -> None:
    from rich.table import Table

    settings, last = record["settings"], record["epochs"][-1]
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("recipe", f"{settings['recipe']}, schedule {settings['schedule']}, seed {settings['seed']}")
    table.add_row("eps", f"{settings['eps']:.6g} of the pixel range, {settings['steps']} steps")
    table.add_row("trained on", f"{record['training_samples']:,} samples of {record['data']}")
    table.add_row("best epoch", f"{record['best_epoch']} of {last['epoch']}")
    held_out = f"of {record['validation_samples']:,} held out"
    table.add_row("clean accuracy", f"{100 * record['clean_accuracy']:.2f} % {held_out}")
    table.add_row("under PGD-10", f"{100 * record['robust_accuracy']:.2f} % {held_out}")
    table.add_row("seconds", f"{record['seconds']:,.0f} on {record['threads']} threads")
    console.print(table)
    if "output" in record:
        console.print(f"trained for output {record['output']}, which the file has alone")
    console.print(f"wrote {record['model']} and {Path(record['model']).with_suffix('.training.json').name}")
