# SPDX-License-Identifier: Apache-2.0
"""tinyguard attack: what an attacker leaves of a network's accuracy, on the host or on a board."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tinyguard.cli import _attack_campaign, _attack_measure, _attack_replay, _attack_run
from tinyguard.cli._attack_form import FormCommand, chosen_form
from tinyguard.cli._options import answer_option, json_option

FORMS = (_attack_run.FORM, _attack_measure.FORM, _attack_replay.FORM, _attack_campaign.FORM)


def _listing() -> str:
    from tinyguard.cli._attack_list import listing

    return listing()


@click.command(
    cls=FormCommand,
    forms=FORMS,
    epilogue=_listing,
    params=[option for form in FORMS for option in form.options],
)
@click.argument("model", type=click.Path(path_type=Path), required=False)
@answer_option
@json_option
@click.pass_context
def command(context: click.Context, **values: Any) -> None:
    """Attack MODEL, an integer .tflite file, as the device runs it.

    Every figure is the exact integer network's, scored again on the back end from the inputs found.
    """
    chosen_form(context, FORMS).run(values)
