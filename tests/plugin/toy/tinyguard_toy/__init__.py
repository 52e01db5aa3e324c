# SPDX-License-Identifier: Apache-2.0
"""A package of somebody else's: what it brings to tinyguard is named here."""

from tinyguard_toy.mark import ToyMark
from tinyguard_toy.section import SECTION

__all__ = ["SECTION", "ToyMark"]
