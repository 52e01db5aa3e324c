# SPDX-License-Identifier: Apache-2.0
"""What DATA resolves to: an array of inputs and, where they are known, the labels."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Samples:
    """Inputs `x` (N, ...), NHWC, and labels `y` int64 (N,) or None; or real `targets` float32 (N, ...).

    The dtype of `x` says what it holds: uint8 pixels, int8 or int16 codes, float32 real values.
    """

    x: np.ndarray
    y: np.ndarray | None = None
    class_names: tuple[str, ...] | None = None
    name: str = ""
    targets: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.x)

    def first(self, count: int | None) -> "Samples":
        """At most the first `count` samples."""
        labels = None if self.y is None else self.y[:count]
        targets = None if self.targets is None else self.targets[:count]
        return Samples(self.x[:count], labels, self.class_names, self.name, targets)
