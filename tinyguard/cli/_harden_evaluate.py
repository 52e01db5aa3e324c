# SPDX-License-Identifier: Apache-2.0
"""tinyguard harden evaluate: every defense of a study against attackers who know it, and what it costs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from tinyguard.cli._options import console, json_option, print_json, progress_console
from tinyguard.errors import TinyguardError


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option("-o", "--out", "output", type=click.Path(path_type=Path),
              help="Folder of the results; the study's name without .toml where it is missing.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
@click.option("--limit", type=click.IntRange(min=1), help="Use the first N samples only.")
@click.option("--network", "networks", multiple=True, metavar="NAME",
              help="Run this network alone, or these; the table has what is finished of all.")  # fmt: skip
@click.option("--attack", "attacks", multiple=True, metavar="LABEL", help="Run this attack alone, or these.")
@click.option("--board", default="mps2-an500", show_default=True, help="Emulated board that costs are of.")
@click.option("--no-cost", is_flag=True, help="Leave out what the defenses cost on the board.")
@click.option("--no-check", is_flag=True, help="Leave out the checks for gradient masking.")
@json_option
def command(
    study: Path,
    output: Path | None,
    jobs: int,
    limit: int | None,
    networks: tuple[str, ...],
    attacks: tuple[str, ...],
    board: str,
    no_cost: bool,
    no_check: bool,
    as_json: bool,
) -> None:
    """Judge the defenses in STUDY, a .toml file, by attackers who know them.

    Each [[network]] is a defense. White-box is adaptive: through input filters by both backward rules, the
    stronger kept sample by sample; on stochastic networks by expectation over masks, scored under fresh
    ones, mean and deviation, and once with the seed known. An adaptive attack that leaves more than a
    transfer is flagged. Pieces are kept as they finish; killed and repeated, the command goes on.
    """
    from tinyguard.robustness.attacked_network import require_torch

    require_torch()
    from tinyguard import boards
    from tinyguard.campaigns.defense_costs import costs_of
    from tinyguard.campaigns.defense_study import baseline, defense_cells, with_hardened_files
    from tinyguard.campaigns.study import read_study
    from tinyguard.campaigns.tables.defense_rows import table_of
    from tinyguard.campaigns.tables.defense_table import write_defense_tables
    from tinyguard.campaigns.tables.study_table import finished
    from tinyguard.cli._campaign import run_cells
    from tinyguard.measure.cost import check_emulated

    chosen = None if no_cost else check_emulated(boards.load(board))
    read = read_study(study, limit)
    baseline(read)
    _check_known(study, "network", networks, [network.name for network in read.networks])
    _check_known(study, "attack", attacks, [entry.label for entry in read.attacks])
    folder = output or study.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    defended = with_hardened_files(read, folder.resolve() / "models")
    cells = defense_cells(defended, checks=not no_check)
    wanted = [
        cell
        for cell in cells
        if (not networks or cell.network.name in networks) and (not attacks or cell.entry.label in attacks)
    ]
    work = run_cells(defended, cells, folder, jobs, wanted=wanted)
    costs = {}
    if chosen is not None:
        with progress_console.status(f"measuring on {chosen.title}"):
            costs = costs_of(defended, chosen, folder / "cost")
    table = table_of(defended, cells, finished(cells, work.pieces, work.store), costs)
    paths = write_defense_tables(folder, table)
    if as_json:
        print_json(asdict(table))
    else:
        click.echo((folder / "table.md").read_text(), nl=False)
        console.print(f"written: {', '.join(str(path) for path in paths)}")
    work.check()


def _check_known(study: Path, kind: str, asked: tuple[str, ...], known: list[str]) -> None:
    """Raise TinyguardError for a name that the study does not have."""
    for name in asked:
        if name not in known:
            names = ", ".join(dict.fromkeys(known))
            raise TinyguardError(f"{study}: no {kind} named {name!r}; there are: {names}")
