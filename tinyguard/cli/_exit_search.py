# SPDX-License-Identifier: Apache-2.0
"""`tinyguard exits --data`: thresholds from samples, and the curve of accuracy against cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from tinyguard.exits.figures import PolicyFigures
    from tinyguard.exits.stage_costs import Costs
    from tinyguard.exits.thresholds import Found, Trial
    from tinyguard.graph import Graph
    from tinyguard.graph.exit_policy import Policy
    from tinyguard.tflite.record.exits import Exits

_OPTIONS = (
    click.option("--data", metavar="DATA", help="Find thresholds on these labelled samples."),
    click.option("--within", type=click.FloatRange(min=0), metavar="POINTS",
                 help="The cheapest policy whose accuracy is at most so far below the last exit's."),
    click.option("--budget", metavar="PERCENT",
                 help="The most accurate policy whose mean cost is at most 60%, say, of the last exit's."),
    click.option("--skip", type=click.IntRange(min=0), default=0, help="Leave the first N samples out."),
    click.option("--limit", type=click.IntRange(min=1), help="Use N samples."),
    click.option("--curve", metavar="NAME", type=click.Path(path_type=Path),
                 help="Draw accuracy against cost on these samples: NAME.png and NAME.csv."),
)  # fmt: skip


def search_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of a `Sought`, by the names of its fields."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True)
class Sought:
    """What was typed: the samples, and what to find on them. `budget`: as in "60%"."""

    data: str | None
    within: float | None
    budget: str | None
    skip: int
    limit: int | None
    curve: Path | None

    @property
    def finds(self) -> bool:
        """Whether thresholds are to be found."""
        return self.within is not None or self.budget is not None

    def check(self) -> None:
        """Raise UsageError for options that do not go together."""
        others = (self.within, self.budget, self.limit, self.curve)
        if self.data is None:
            if self.skip or any(other is not None for other in others):
                raise click.UsageError("--within, --budget, --skip, --limit and --curve go with --data DATA")
            return
        if self.within is not None and self.budget is not None:
            raise click.UsageError("--within POINTS or --budget PERCENT: name one of them")
        if not self.finds and self.curve is None:
            raise click.UsageError("say what to find on --data: --within 0.5, --budget 60%, or --curve NAME")


@dataclass(frozen=True)
class Chosen:
    """What was found on samples `first` up to, not including, `end` of `data`. `sought`: the aim, for --json.
    `last_accuracy` is the last exit's on them."""

    data: str
    first: int
    end: int
    sought: dict[str, float]
    last_accuracy: float
    found: Found
    figures: PolicyFigures
    curve: tuple[Path, Path] | None

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {
            "data": self.data,
            "first_sample": self.first,
            "samples": self.end - self.first,
            **self.sought,
            "last_exit_accuracy": self.last_accuracy,
            **self.figures.as_dict(),
            "curve": None if self.curve is None else [str(path) for path in self.curve],
        }

    @property
    def words(self) -> str:
        """Which samples these are."""
        return _words(self.data, self.first, self.end)


def search(model: Path, graph: Graph, exits: Exits, costs: Costs, kind: str | None, sought: Sought) -> Chosen:
    """Carry out what is sought, by policies of `kind`; None is the file's kind where that has thresholds."""
    from tinyguard.data.network_codes import read_codes
    from tinyguard.errors import TinyguardError
    from tinyguard.exits.figures import figures_of
    from tinyguard.exits.measured import measure
    from tinyguard.exits.thresholds import trial
    from tinyguard.report.exit_curve import curve_paths

    assert sought.data is not None
    if sought.curve is not None:
        curve_paths(sought.curve)
    find, wanted = _aim(exits.policy, kind, sought)
    codes, labels = read_codes(model, graph, sought.data, sought.limit, sought.skip)
    if labels is None:
        raise TinyguardError(f"{sought.data} has no labels to find thresholds by: save y beside x")
    tried = trial(measure(graph, codes), labels, costs, exits.answer)
    found = find(tried)
    taken = tried.measured.taken(found.policy)
    right = tried.right[range(len(taken)), taken]
    samples = _words(sought.data, sought.skip, sought.skip + len(codes))
    return Chosen(
        data=sought.data,
        first=sought.skip,
        end=sought.skip + len(codes),
        sought=wanted,
        last_accuracy=float(tried.right[:, -1].mean()),
        found=found,
        figures=figures_of(taken, costs, right, tried.right),
        curve=None if sought.curve is None else _draw(tried, sought.curve, found, samples),
    )


def _aim(
    policy: Policy, kind: str | None, sought: Sought
) -> tuple[Callable[[Trial], Found], dict[str, float]]:
    """How a policy is found on a trial, and what is asked of it, for --json; `policy` is the file's.

    Raises TinyguardError for a kind without thresholds and a budget that is no percentage.
    """
    from tinyguard.exits.thresholds import FOUND, cheapest_within, check_kind, most_accurate_for, under
    from tinyguard.exits.typed_policy import parse_percent

    if not sought.finds:
        return lambda tried: under(tried, policy), {}
    chosen = kind or (policy.kind if policy.kind in FOUND else FOUND[0])
    check_kind(chosen)
    if sought.within is not None:
        points = sought.within
        return lambda tried: cheapest_within(tried, chosen, points), {"within_points": points}
    share = parse_percent(sought.budget or "")
    return lambda tried: most_accurate_for(tried, chosen, share), {"budget": share}


def _draw(tried: Trial, name: Path, found: Found, samples: str) -> tuple[Path, Path]:
    from tinyguard.exits.thresholds import FOUND, accuracy_against_cost, under
    from tinyguard.graph.exit_policy import only_exit
    from tinyguard.report.exit_curve import write_exit_curve

    count = tried.measured.exits
    curves = {kind: accuracy_against_cost(tried, kind) for kind in FOUND}
    alone = [under(tried, only_exit(number + 1, count)) for number in range(count)]
    return write_exit_curve(name, curves, alone, found, unit=tried.costs.unit, samples=samples)


def _words(data: str, first: int, end: int) -> str:
    return f"{data}, samples {first:,} to {end - 1:,}"
