# SPDX-License-Identifier: Apache-2.0
"""Pixel Defend in a study: purification on the host before every answer of a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tinyguard.campaigns.fields import table, text
from tinyguard.errors import TinyguardError

_KEYS = {"pixel_cnn", "eps"}


@dataclass(frozen=True)
class Purifier:
    """`pixel_cnn`: the path of its weights. Every value moves by at most `eps_codes`."""

    pixel_cnn: str
    eps_codes: int

    def transform(self) -> Callable[[np.ndarray], np.ndarray]:
        """int8 codes (N, height, width, channels) to purified ones."""
        from tinyguard.defenses.pixel_cnn import load_pixel_cnn
        from tinyguard.defenses.pixel_defend import purify

        return partial(purify, load_pixel_cnn(Path(self.pixel_cnn)), eps_codes=self.eps_codes)

    def cost(self) -> str:
        """Why it costs nothing on a board, and what it costs the host."""
        from tinyguard.defenses.pixel_cnn import load_pixel_cnn
        from tinyguard.defenses.pixel_defend import purification_cost

        cost = purification_cost(load_pixel_cnn(Path(self.pixel_cnn)), self.eps_codes)
        return f"on the host alone: {cost.total_macs / 1e6:.1f} million floating-point MACs an image"


def purifier_of(section: Any, folder: Path, where: str) -> Purifier:
    """The key `purify` of a [[network]] table in a study file in `folder`."""
    from tinyguard.robustness.purified import whole_codes

    table(section, where, '{pixel_cnn = "pixel-cnn.npz", eps = "16/255"}', _KEYS)
    path = folder / text(section.get("pixel_cnn"), f"{where}: pixel_cnn")
    if not path.is_file():
        raise TinyguardError(f"{where}: pixel_cnn {path} is not there")
    return Purifier(str(path), whole_codes(str(section.get("eps", "16/255"))))
