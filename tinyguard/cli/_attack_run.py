# SPDX-License-Identifier: Apache-2.0
"""`tinyguard attack MODEL --attack NAME`: one attack on one network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from tinyguard.cli._attack_form import Form
from tinyguard.cli._options import print_json

_COUNT = click.IntRange(min=1)
_FILE = click.Path(path_type=Path)
OPTIONS = (
    click.Option(["--data"], help="digits, mnist, cifar10, an .npz or a folder of class folders."),
    click.Option(["--attack"], help="One of the attacks below."),
    click.Option(
        ["--eps"], help="Budget: 8/255 or 0.03 of the pixel range, or 2codes of the network's input."
    ),
    click.Option(["--norm"], help="linf, l2, ...: one that the attack has."),
    click.Option(
        ["--setting"], help="white-box, transfer or black-box; the default is what the attack needs."
    ),
    click.Option(
        ["--backend"],
        help="What is attacked: simulator (default), litert, reference, compiled, float, or xnnpack, a PC's "
        "default interpreter.",
    ),
    click.Option(
        ["--serial"], help="Port of a board: device path, PTY or any pyserial URL; `auto` finds it."
    ),
    click.Option(
        ["--source"],
        multiple=True,
        help="The float network: .keras, .pt2, .onnx or FILE.py:FUNCTION; several are averaged.",
    ),
    click.Option(
        ["--scores"],
        type=click.Choice(["output", "logits", "exit", "decision"]),
        default="output",
        show_default=True,
        help="What score attacks see; logits are a separate threat model. Of a slowdown: the number of the "
        "exit, or all of the decision.",
    ),
    click.Option(
        ["--on"],
        metavar="GOAL",
        help="A network with exits: answer (the default), average, max-average, exit:N, slowdown or "
        "early-wrong.",
    ),
    click.Option(["--keep-answer"], is_flag=True, help="A slowdown that keeps the last exit right."),
    click.Option(
        ["--grid"],
        type=click.Choice(["codes", "pixels"]),
        help="Points an attack may choose: every code (int8), or whole pixels (int16).",
    ),
    click.Option(
        ["--filter-gradient"],
        type=click.Choice(["smooth", "identity"]),
        default="smooth",
        show_default=True,
        help="How gradients pass input filters; identity is BPDA.",
    ),
    click.Option(
        ["--detector"],
        type=click.Choice(["aware", "ignored"]),
        default="aware",
        show_default=True,
        help="Whether gradients see the squeezed versions that a detector compares.",
    ),
    click.Option(
        ["--targeted"], metavar="CLASS|next", help="Success is this class, or the one after the label."
    ),
    click.Option(["--loss"], help="ce, margin or dlr, for attacks that have a choice."),
    click.Option(["--steps"], type=_COUNT, help="Steps of the attack."),
    click.Option(["--restarts"], type=_COUNT, help="Starts of the attack."),
    click.Option(["--queries"], type=_COUNT, help="Most queries per sample."),
    click.Option(
        ["--set", "settings"], metavar="NAME=VALUE", multiple=True, help="Any parameter of the attack."
    ),
    click.Option(
        ["--seed"],
        type=click.IntRange(0, 2**63 - 1),
        default=0,
        show_default=True,
        help="The same seed gives the same bytes.",
    ),
    click.Option(["--limit"], type=_COUNT, help="Use the first N samples only."),
    click.Option(
        ["--batch-size"],
        type=_COUNT,
        default=128,
        show_default=True,
        help="Samples in one pass of the simulator; changes no result.",
    ),
    click.Option(["--check"], is_flag=True, help="Look for gradient masking: does the figure deserve trust?"),
    click.Option(
        ["--surface"],
        metavar="FILE.png",
        type=_FILE,
        help="Draw the loss around a sample; --check -o ADV.NPZ draws it beside ADV.NPZ.",
    ),
    click.Option(["-o", "--out", "output"], type=_FILE, help="Write the inputs found, .npz."),
)


def run_one(values: Mapping[str, Any]) -> None:
    """Attack as typed and print the figures."""
    for name in ("data", "attack"):
        if values[name] is None:
            raise click.UsageError(f"--{name} is missing (see --help)")
    from tinyguard.robustness.attacked_network import require_torch

    require_torch()
    from tinyguard.cli._attack_search import AttackOptions, run_attack
    from tinyguard.cli._attack_table import show_attack

    options = AttackOptions(**{field.name: values[field.name] for field in fields(AttackOptions)})
    run = run_attack(values["model"], options)
    if values["as_json"]:
        print_json(run.as_dict())
    else:
        show_attack(run, options.output)


FORM = Form("One attack", None, "attacks", OPTIONS, frozenset({"model", "answer"}), run_one)
