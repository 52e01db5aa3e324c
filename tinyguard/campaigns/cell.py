# SPDX-License-Identifier: Apache-2.0
"""A figure of a study, and the piece of work that gives some of its samples."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tinyguard.attacks import find_attack
from tinyguard.campaigns.study import AttackEntry, NetworkEntry
from tinyguard.errors import TinyguardError
from tinyguard.robustness.threat_model import make_attack


@dataclass(frozen=True)
class Cell:
    """One figure of a study. `eps` in fractions of the pixel range, None where the attack has none.

    `inherits`: the index of the cell with the next smaller budget, whose successes count here too;
    `equal_to`: of the one that comes to the same codes, `unreachable`: not one code fits into eps.
    `same_search_as`: of the one whose minimum-norm attack is this one's too, under another eps.
    `check`: the run is examined for gradient masking besides.
    """

    index: int
    network: NetworkEntry
    entry: AttackEntry
    setting: str
    norm: str
    eps: float | None
    eps_codes: int | list[int] | None
    inherits: int | None = None
    equal_to: int | None = None
    unreachable: bool = False
    same_search_as: int | None = None
    check: bool = False

    @property
    def runs(self) -> bool:
        """Whether there is anything to compute."""
        return self.equal_to is None and self.same_search_as is None and not self.unreachable


@dataclass(frozen=True)
class Piece:
    """Samples `start` to `stop` of a cell. `key` names all that the result depends on; `after`: the key of
    the piece whose successes are inherited; `shared`: a folder where pieces leave what others can use."""

    key: str
    cell: Cell
    data: str
    limit: int
    seed: int
    start: int
    stop: int
    after: str | None
    shared: str


def attack_of(cell: Cell) -> Any:
    """The attack of a cell with its parameters and budget."""
    given = dict(cell.entry.parameters)
    if cell.eps is not None:
        given["eps"] = cell.eps
    return make_attack(find_attack(cell.entry.attack), given, {})


def codes_of(network: NetworkEntry, data: str, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Input codes (N, *shape) and labels (N,) of a study's data for one of its networks."""
    return _codes_of(network.model, network.output, data, limit)


@lru_cache(maxsize=32)  # pieces take turns on the networks
def _codes_of(model: str, output: str | None, data: str, limit: int) -> tuple[np.ndarray, np.ndarray]:
    from tinyguard.data.network_codes import read_codes
    from tinyguard.tflite import read_graph

    codes, labels = read_codes(Path(model), read_graph(Path(model), output=output), data, limit)
    if labels is None:
        raise TinyguardError(f"data {data} has no labels, and attacks need them")
    return codes, labels
