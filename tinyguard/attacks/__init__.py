# SPDX-License-Identifier: Apache-2.0
"""Attacks on the network that the device runs: one file per attack, vectorised over the samples.

A new attack is a new file with a frozen dataclass that declares what `problem.Attack` lists.
"""

from tinyguard.attacks.declared import find_attack, registry

__all__ = ["find_attack", "registry"]
