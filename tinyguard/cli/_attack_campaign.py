# SPDX-License-Identifier: Apache-2.0
"""`tinyguard attack --config`: a campaign and its tables."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from tinyguard.cli._attack_form import Form
from tinyguard.cli._options import console, print_json

OPTIONS = (
    click.Option(
        ["--config"],
        type=click.Path(path_type=Path),
        metavar="STUDY.TOML",
        help="Run the campaign of a study file; -o is the folder of its results.",
    ),
    click.Option(["--jobs"], type=click.IntRange(min=1), default=1, show_default=True, help="Processes."),
    click.Option(["--scheduler"], metavar="ADDRESS", help="A Dask scheduler, whose workers run it instead."),
)


def run_config(values: Mapping[str, Any]) -> None:
    """Run or resume the study in `config`, with at most `limit` samples per attack; the results go to
    `output`, by default a folder beside the file."""
    from tinyguard.robustness.attacked_network import require_torch

    require_torch()
    from tinyguard.campaigns.defense_study import with_hardened_files
    from tinyguard.campaigns.grid import cells_of
    from tinyguard.campaigns.study import read_study
    from tinyguard.campaigns.tables.study_table import finished, rows, write_tables
    from tinyguard.cli._campaign import run_cells

    config = values["config"]
    study = read_study(config, values["limit"])
    folder = values["output"] or config.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    study = with_hardened_files(study, folder.resolve() / "models")
    cells = cells_of(study)
    work = run_cells(study, cells, folder, values["jobs"], values["scheduler"])
    records = rows(cells, finished(cells, work.pieces, work.store))
    paths = write_tables(folder, records)
    with contextlib.suppress(ImportError):
        from tinyguard.report.curves import write_curves

        paths += write_curves(folder, records)
    if values["as_json"]:
        print_json(records)
    else:
        click.echo((folder / "table.md").read_text(), nl=False)
        console.print(f"written: {', '.join(str(path) for path in paths)}")
    work.check()


FORM = Form(
    "A campaign",
    "config",
    "takes networks, data and attacks from the study file: name it alone",
    OPTIONS,
    frozenset({"limit", "output"}),
    run_config,
)
