# SPDX-License-Identifier: Apache-2.0
"""How pixels become what the network was trained on: {"normalization": {"mean": [0], "std": [255]}}."""

from dataclasses import dataclass
from typing import Any

from tinyguard.errors import TinyguardError
from tinyguard.tflite.record.section import Section

_MAX_PIXEL = 1e9


@dataclass(frozen=True)
class Normalization:
    """How pixels 0 to 255 become the real values the network was trained on.

    real = (pixel - mean) / std, in pixel units; one entry for all channels, or one per channel.
    A network trained on pixel / 255 has mean (0,) and std (255,).
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def as_json(self) -> dict[str, list[float]]:
        return {"mean": list(self.mean), "std": list(self.std)}


def _parse(section: Any) -> Normalization | None:
    if section is None:
        return None
    mean = _numbers(section.get("mean")) if isinstance(section, dict) else None
    std = _numbers(section.get("std")) if isinstance(section, dict) else None
    if mean is None or std is None or len(mean) != len(std) or not all(value > 0 for value in std):
        raise TinyguardError(
            "tinyguard metadata: normalization needs `mean` and positive `std` of one length; "
            "quantize the model again"
        )
    return Normalization(mean, std)


def _numbers(values: Any) -> tuple[float, ...] | None:
    if not isinstance(values, list) or not values:
        return None
    if not all(type(value) in (int, float) and abs(value) <= _MAX_PIXEL for value in values):
        return None
    return tuple(float(value) for value in values)


SECTION = Section("normalization", "normalization of the input", _parse, Normalization.as_json)
