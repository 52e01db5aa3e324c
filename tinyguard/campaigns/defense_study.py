# SPDX-License-Identifier: Apache-2.0
"""A study whose networks are defenses: every way in which an attacker who knows a defense goes about it.

White-box means adaptive. Through input filters both backward rules are tried, BPDA and the smooth one
(Athalye et al. 2018, arXiv 1802.00420). Against a detector both the raw input's gradient and that of all
squeezed versions together are (He et al. 2017, arXiv 1706.04701), and only what goes unnoticed succeeds.
Masks of a stochastic network are drawn anew in every step (expectation over transformation), and once more
the attacker is given the file's seed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from tinyguard.attacks.fresh_masks import FreshMasks
from tinyguard.campaigns.cell import Cell
from tinyguard.campaigns.grid import cells_of
from tinyguard.campaigns.hardening import hardened_file
from tinyguard.campaigns.study import NetworkEntry, Study
from tinyguard.errors import TinyguardError
from tinyguard.robustness.attacked_network import DETECTORS
from tinyguard.simulator.rules import GRADIENTS
from tinyguard.tflite import Metadata, read_metadata

ADAPTIVE = "white-box"
_CHECKED = 64  # samples that the checks for gradient masking take


def with_hardened_files(study: Study, folder: Path) -> Study:
    """The study with every `hardening` written into a file in `folder`, which takes the model's place.

    Raises TinyguardError for defenses that do not fit a network.
    """

    def written(network: NetworkEntry) -> NetworkEntry:
        if network.hardening is None:
            return network
        try:
            model = hardened_file(Path(network.model), network.hardening, folder, network.output)
        except TinyguardError as error:
            raise TinyguardError(f"{study.path}: [[network]] {network.name}: {error}") from None
        return replace(network, model=str(model), hardening=None, output=None)

    return replace(study, networks=tuple(written(network) for network in study.networks))


def baseline(study: Study) -> NetworkEntry:
    """The undefended network. Raises TinyguardError where two are said to be it."""
    marked = [network for network in study.networks if network.undefended]
    if len(marked) > 1:
        raise TinyguardError(
            f"{study.path}: [[network]] {marked[0].name} and {marked[1].name} are both undefended: mark one"
        )
    return marked[0] if marked else study.networks[0]


def defense_cells(study: Study, checks: bool = True) -> tuple[Cell, ...]:
    """The cells of all views, then one per view for its checks for gradient masking.

    Raises TinyguardError for everything in the study that could not run.
    """
    for network in study.networks:
        if is_stochastic(network) and network.backend != "simulator":
            raise TinyguardError(
                f"{study.path}: [[network]] {network.name}: masks of fresh seeds run on the simulator alone: "
                f'leave out backend = "{network.backend}"'
            )
    cells = cells_of(study, partial(views, study))
    return cells + tuple(_checks(study, cells) if checks else ())


def views(study: Study, network: NetworkEntry, setting: str) -> list[NetworkEntry]:
    """How `network` is attacked in `setting`: by each backward rule, with and without the detector in mind,
    without and with the seed known."""
    rules = GRADIENTS if setting == ADAPTIVE and has_filters(network) else GRADIENTS[:1]
    detectors = DETECTORS if setting == ADAPTIVE and is_squeezing(network) else DETECTORS[:1]
    masks: list[FreshMasks | None] = [None]
    if is_stochastic(network):
        fresh = FreshMasks(study.attack_seeds, study.scoring_seeds, study.seed)
        masks = [fresh, None] if setting == ADAPTIVE else [fresh]
    return [
        replace(network, filter_gradient=rule, masks=some, detector=detector)
        for rule in rules
        for some in masks
        for detector in detectors
    ]


def is_stochastic(network: NetworkEntry) -> bool:
    return _metadata(network).stochastic is not None


def is_squeezing(network: NetworkEntry) -> bool:
    return _metadata(network).squeezing is not None


def has_filters(network: NetworkEntry) -> bool:
    return bool(_metadata(network).filters)


def _metadata(network: NetworkEntry) -> Metadata:
    return read_metadata(Path(network.model)) or Metadata()


def knows_seed(cell: Cell) -> bool:
    """Whether the attacker of this cell was given the seed of a stochastic network."""
    return cell.network.masks is None and is_stochastic(cell.network)


def _checks(study: Study, cells: tuple[Cell, ...]) -> Iterator[Cell]:
    """The middle budget of each network's first adaptive attack, in each of its ways.

    The checks are about the gradients of one network: masks stay those of the file's seed.
    """
    index = len(cells)
    for network in study.networks:
        own = [cell for cell in cells if cell.network.name == network.name and cell.network.masks is None]
        adaptive = [cell for cell in own if cell.setting == ADAPTIVE and cell.runs]
        first = [cell for cell in adaptive if cell.entry == adaptive[0].entry]
        for way in itertools.product(GRADIENTS, DETECTORS):
            chain = [c for c in first if (c.network.filter_gradient, c.network.detector) == way]
            if chain:
                entry = replace(chain[0].entry, limit=min(chain[0].entry.limit, _CHECKED, study.shard))
                middle = chain[len(chain) // 2]
                yield replace(middle, index=index, entry=entry, inherits=None, check=True)
                index += 1
