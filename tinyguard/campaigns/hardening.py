# SPDX-License-Identifier: Apache-2.0
"""Defenses that a study file puts on a network, filters, masks and a detector, written into a new file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyguard.campaigns.fields import listed, number, table, text
from tinyguard.errors import TinyguardError
from tinyguard.tflite.record.filters import parse_filter

_STOCHASTIC_KEYS = {"sites", "p", "passes", "seed"}
_SQUEEZING_KEYS = {"squeezers", "threshold"}
_PASSES = 10
_RATE = 0.1


@dataclass(frozen=True)
class StochasticEntry:
    """As `tinyguard harden stochastic` takes them; `seed` is that of the file."""

    sites: tuple[str, ...]
    rate: float
    passes: int
    seed: int


@dataclass(frozen=True)
class SqueezingEntry:
    """`squeezers` as they are typed, `threshold` in 1/256."""

    squeezers: tuple[str, ...]
    threshold: int


@dataclass(frozen=True)
class Hardening:
    """`filters` as they are typed, in their order; masks and squeezing or None."""

    filters: tuple[str, ...]
    stochastic: StochasticEntry | None
    squeezing: SqueezingEntry | None


def hardening_of(entry: dict[str, Any], where: str) -> Hardening | None:
    """What the keys `filters`, `stochastic` and `squeezing` of a [[network]] table say; None without any."""
    if not entry.keys() & {"filters", "stochastic", "squeezing"}:
        return None
    filters = _filters(entry.get("filters", []), f"{where}: filters")
    stochastic = _stochastic(entry["stochastic"], f"{where}: stochastic") if "stochastic" in entry else None
    squeezing = _squeezing(entry["squeezing"], f"{where}: squeezing") if "squeezing" in entry else None
    return Hardening(filters, stochastic, squeezing)


def _filters(typed: Any, where: str) -> tuple[str, ...]:
    filters = tuple(text(one, where) for one in listed(typed))
    for one in filters:
        try:
            parse_filter(one)
        except TinyguardError as error:
            raise TinyguardError(f"{where}: {error}") from None
    return filters


def _squeezing(section: Any, where: str) -> SqueezingEntry:
    table(section, where, '{squeezers = ["median:3"], threshold = 395}', _SQUEEZING_KEYS)
    squeezers = _filters(section.get("squeezers", []), f"{where}: squeezers")
    if not squeezers:
        raise TinyguardError(f'{where} names no squeezers: as in squeezers = ["median:3"]')
    if "threshold" not in section:
        raise TinyguardError(f"{where} has no threshold: tinyguard harden squeeze prints one in 1/256")
    return SqueezingEntry(squeezers, number(section["threshold"], f"{where}: threshold", 0))


def _stochastic(section: Any, where: str) -> StochasticEntry:
    table(section, where, "{p = 0.1, passes = 10}", _STOCHASTIC_KEYS)
    rate = section.get("p", _RATE)
    if not isinstance(rate, int | float) or isinstance(rate, bool):
        raise TinyguardError(f"{where}: p is {rate!r}, and a fraction such as 0.1 is needed")
    sites = tuple(text(site, f"{where}: sites") for site in listed(section.get("sites", "auto")))
    passes = number(section.get("passes", _PASSES), f"{where}: passes")
    return StochasticEntry(sites, float(rate), passes, number(section.get("seed", 0), f"{where}: seed", 0))


def hardened_file(model: Path, hardening: Hardening, folder: Path, output: str | None = None) -> Path:
    """The .tflite file of `model` with these defenses, in `folder`, named by its content; `output` names the
    one output that it has, where the model has several.

    Raises TinyguardError for defenses that do not fit the network, or that it has already.
    """
    from tinyguard.defenses.feature_squeezing import with_squeezing
    from tinyguard.defenses.input_filters import check_new, with_filters
    from tinyguard.defenses.monte_carlo_dropout import dropped_of, find_sites, plain_graph, with_stochastic
    from tinyguard.files import write_atomically
    from tinyguard.tflite import with_one_output
    from tinyguard.tflite.content import read_bytes
    from tinyguard.tflite.record.squeezing import Squeezing
    from tinyguard.tflite.record.stochastic import Stochastic

    content = read_bytes(model) if output is None else with_one_output(read_bytes(model), output)
    if hardening.filters:
        check_new(content, str(model))
        content = with_filters(content, [parse_filter(one) for one in hardening.filters])
    if (wanted := hardening.stochastic) is not None:
        sites = find_sites(plain_graph(content), wanted.sites)
        chosen = Stochastic(sites, dropped_of(wanted.rate), wanted.passes, wanted.seed)
        content = with_stochastic(content, chosen)
    if (squeezed := hardening.squeezing) is not None:
        squeezers = tuple(parse_filter(one) for one in squeezed.squeezers)
        content = with_squeezing(content, Squeezing(squeezers, squeezed.threshold))
    path = folder / f"{hashlib.sha256(content).hexdigest()[:16]}.tflite"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    return path
