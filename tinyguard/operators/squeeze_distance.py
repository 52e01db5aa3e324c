# SPDX-License-Identifier: Apache-2.0
"""SQUEEZE_DISTANCE: how far squeezing the input moves the output (Xu et al. 2018, arXiv 1704.01155).

The largest L1 distance between the softmax of the raw input and those of its squeezed versions, in 1/256,
and whether it is above a threshold. No .tflite file holds it; `tinyguard harden squeeze` puts it after the
copies.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tinyguard.operators.base import Emission, Operator
from tinyguard.operators.monte_carlo import require_probabilities

DETECTION = ("distance", "detected")


class SqueezeDistance(Operator):
    """Input 0: codes of the raw input's softmax; the others: of its squeezed versions. Output: `DETECTION`,
    int32 (1, 2). Option `threshold`, in 1/256 (-1: never detected)."""

    names: ClassVar = ("SQUEEZE_DISTANCE",)
    in_file: ClassVar = False

    def prepare(self) -> None:
        self.threshold = int(self.option("threshold", -1))
        self.require(len(self.inputs) > 1, "no squeezed version")
        for index in range(len(self.inputs)):
            require_probabilities(self, index)
        self.classes = self.input_tensor(0).elements

    def run(self, *inputs: np.ndarray | None) -> tuple[np.ndarray, ...]:
        raw, *squeezed = (x.reshape(len(x), -1).astype(np.int32) for x in inputs if x is not None)
        distances = np.stack([np.abs(raw - x).sum(axis=1) for x in squeezed])
        largest = distances.max(axis=0)
        detected = (largest > self.threshold) & (self.threshold >= 0)
        return (np.stack([largest, detected], axis=1).astype(np.int32).reshape(-1, *self.outputs[0].shape),)

    def emit(self, c: Emission) -> str:
        c.kernel("squeeze_distance.h")
        lines = ["int32_t largest = 0;"]
        lines += [
            f"largest = tg_squeeze_distance({self.classes}, {c.input(0)}, {c.input(index)}, largest);"
            for index in range(1, len(self.inputs))
        ]
        lines.append(f"tg_squeeze_decide(largest, {self.threshold}, {c.output()});")
        return "\n".join(lines)
