# SPDX-License-Identifier: Apache-2.0
"""Which code the result of a piece depends on, and so which changes of it void the piece.

In: the attack, what it imports of `tinyguard.attacks` (victims, losses, the space of inputs, draws); the
modules of JUDGES: who is attacked and what is kept, what the answer is, when an input counts, and how pieces
inherit; those of BACKWARD: the backward pass of rounding, clamping, filters and masks, whose rules are a
choice, and which tensor the logits are.

Out: the forward pass, which is the device's. Simulator, kernels and native loops may be rewritten for speed,
and tests hold every byte they give. The gradient of a layer that is not in BACKWARD is that of the real
function it rounds, which tests hold too. Philox and the data's readers have published values, and the samples
themselves are in the key.
"""

from __future__ import annotations

from tinyguard.attacks import registry
from tinyguard.campaigns.cell import Cell
from tinyguard.campaigns.code_digest import code_digest

JUDGES = (
    "tinyguard.campaigns.piece",
    "tinyguard.data.shares",
    "tinyguard.graph.answer",
    "tinyguard.robustness.attack_job",
    "tinyguard.robustness.attacked_network",
    "tinyguard.robustness.budget",
    "tinyguard.robustness.distortion",
    "tinyguard.robustness.exit_success",
    "tinyguard.robustness.run",
    "tinyguard.robustness.scoring",
)
BACKWARD = (
    "tinyguard.simulator.filter",
    "tinyguard.simulator.filter_bit_depth",
    "tinyguard.simulator.filter_dct",
    "tinyguard.simulator.filter_total_variation",
    "tinyguard.simulator.layer",
    "tinyguard.simulator.logits",
    "tinyguard.simulator.monte_carlo",
    "tinyguard.simulator.rules",
    "tinyguard.simulator.squeeze_distance",
    "tinyguard.simulator.straight_through",
    "tinyguard.simulator.window_filter",
)
TRANSFER = ("tinyguard.robustness.transfer", "tinyguard.sources.float_source")
MASKS = ("tinyguard.attacks.eot", "tinyguard.robustness.under_seeds")
EXITS = ("tinyguard.attacks.exit_goals", "tinyguard.robustness.exit_run")
CHECKS = ("tinyguard.robustness.trust.checks", "tinyguard.robustness.trust.trials")
PURIFIER = (
    "tinyguard.campaigns.purifier",
    "tinyguard.defenses.pixel_choice",
    "tinyguard.defenses.pixel_cnn",
    "tinyguard.defenses.pixel_defend",
    "tinyguard.defenses.pixel_likelihood",
)
TARGETED = ("tinyguard.robustness.targets",)


def piece_code(cell: Cell) -> str:
    """A digest of the code that the pieces of a cell depend on."""
    followed = [registry()[cell.entry.attack].module]
    followed += TRANSFER if cell.setting == "transfer" else ()
    followed += MASKS if cell.network.masks is not None else ()
    followed += CHECKS if cell.check else ()
    followed += EXITS if cell.network.on is not None else ()
    alone = [*JUDGES, *BACKWARD]
    alone += PURIFIER if cell.network.purifier is not None else ()
    alone += TARGETED if cell.entry.targeted is not None else ()
    return code_digest(followed, alone)


def crafting_code(attack: str) -> str:
    """A digest of the code that the search of a transfer depends on, whatever network it is for."""
    return code_digest([registry()[attack].module, *TRANSFER], ["tinyguard.robustness.run", *BACKWARD])
