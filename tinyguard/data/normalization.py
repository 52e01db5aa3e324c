"""What was done to pixels before the network saw them: real = (pixel * pixel_scale - mean) / std."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyguard.errors import TinyguardError


@dataclass(frozen=True)
class Normalization:
    """`mean` and `std` hold one value, or one per channel, in the units of pixel * pixel_scale."""

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    pixel_scale: float = 1 / 255

    def __post_init__(self) -> None:
        numbers = np.array([*self.mean, *self.std, self.pixel_scale], np.float64)
        if not np.isfinite(numbers).all() or min(self.std) <= 0 or self.pixel_scale <= 0:
            raise TinyguardError("the normalisation needs finite numbers, std and pixel_scale above 0")
        if 1 not in (len(self.mean), len(self.std)) and len(self.mean) != len(self.std):
            raise TinyguardError(
                f"the normalisation has {len(self.mean)} means and {len(self.std)} standard deviations: "
                "give one per channel of each"
            )

    @classmethod
    def from_mapping(cls, record: Mapping[str, Any]) -> "Normalization":
        """From the metadata's {"mean": [...], "std": [...], "pixel_scale": number}."""
        try:
            return cls(
                _numbers(record.get("mean", 0.0)),
                _numbers(record.get("std", 1.0)),
                float(record.get("pixel_scale", 1 / 255)),
            )
        except (TypeError, ValueError):
            raise TinyguardError(
                "the metadata's normalisation is damaged: quantize the network again with --mean and --std"
            ) from None

    def as_mapping(self) -> dict[str, Any]:
        """What goes into the metadata."""
        return {"mean": list(self.mean), "std": list(self.std), "pixel_scale": self.pixel_scale}

    def table(self, channels: int) -> np.ndarray:
        """The real value of each pixel value: float32 (256, channels)."""
        for values in (self.mean, self.std):
            if len(values) not in (1, channels):
                raise TinyguardError(
                    f"the normalisation is for {len(values)} channels and the data has {channels}: "
                    "give --mean and --std one value, or one per channel"
                )
        pixels = np.arange(256, dtype=np.float64)[:, None] * self.pixel_scale
        real = (pixels - np.array(self.mean)) / np.array(self.std)
        return np.broadcast_to(real, (256, channels)).astype(np.float32)

    def real(self, pixels: np.ndarray) -> np.ndarray:
        """uint8 pixels (..., channels) to float32 values of the same shape."""
        return self.table(pixels.shape[-1])[pixels, np.arange(pixels.shape[-1])]


def _numbers(value: float | Sequence[float]) -> tuple[float, ...]:
    return tuple(float(number) for number in (value if isinstance(value, Sequence) else [value]))
