# SPDX-License-Identifier: Apache-2.0
"""The mean of several passes of a stochastic network, and how sure they are together.

MONTE_CARLO_SUM adds a pass: its softmax codes, q = 256 p, and its entropy; MONTE_CARLO_MEAN divides at the
end. Entropies are sums of h(q), q from 0 to 256, which is -p log2 p times 1024, rounded, and a line between
two neighbours. That function is concave, so the entropy of the mean (predictive) is never below the mean of
the entropies (expected); what lies between is the mutual information of class and mask (Smith and Gal 2018,
arXiv 1803.08533). All three are in 1/1024 bit.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tinyguard.arithmetic.entropy import LEVELS, entropy_table, mean_of
from tinyguard.operators.base import Emission, Operator, c_shape

UNCERTAINTY = ("predictive entropy", "expected entropy", "mutual information", "abstains")
_MOST = 2**24  # sums are carried in float32


class MonteCarloSum(Operator):
    """Input 0: softmax codes of a pass, int8; input 1: the sum so far, int32, absent in the first pass.

    The sum has one element per class, of q, and one more, of the entropies."""

    names: ClassVar = ("MONTE_CARLO_SUM",)
    in_file: ClassVar = False

    def prepare(self) -> None:
        scores, total = self.input_tensor(0), self.outputs[0]
        require_probabilities(self, 0)
        self.classes = scores.elements
        self.require(total.dtype == "int32" and total.elements == self.classes + 1, "a sum of another shape")

    @property
    def first(self) -> bool:
        return len(self.inputs) < 2 or self.inputs[1] is None

    def run(self, *inputs: np.ndarray | None) -> tuple[np.ndarray, ...]:
        x = inputs[0]
        assert x is not None
        q = x.reshape(len(x), -1).astype(np.int32) + LEVELS // 2
        sums = np.concatenate([q, entropy_table()[q].sum(axis=1, keepdims=True, dtype=np.int32)], axis=1)
        if not self.first:
            before = inputs[1]
            assert before is not None
            sums = sums + before.reshape(sums.shape)
        return (sums.reshape(len(x), *self.outputs[0].shape),)

    @property
    def in_place(self) -> tuple[int, ...]:
        return () if self.first else (1,)

    def emit(self, c: Emission) -> str:
        c.kernel("monte_carlo.h")
        table = c.constant("entropies", entropy_table(), "1/1024 bit, of probabilities in 1/256")
        before = "0" if self.first else c.input(1)
        return f"tg_monte_carlo_sum({self.classes}, {c.input(0)}, {table}, {before}, {c.output()});"


class MonteCarloMean(Operator):
    """Output 0: codes of the mean, rounded half up, int8; output 1: `UNCERTAINTY`, int32 (1, 4).

    Options: `passes` and `abstain_above`, 1/1024 bit of predictive entropy (-1: never)."""

    names: ClassVar = ("MONTE_CARLO_MEAN",)
    in_file: ClassVar = False

    def prepare(self) -> None:
        total, mean = self.input_tensor(0), self.outputs[0]
        self.passes, self.abstain_above = int(self.option("passes")), int(self.option("abstain_above", -1))
        self.classes = total.elements - 1
        self.require(mean.dtype == "int8" and mean.elements == self.classes, "a mean of another shape")
        largest = self.passes * self.classes * int(entropy_table().max())
        self.require(largest < _MOST, f"{self.passes} passes of {self.classes} classes are too many to sum")

    def run(self, *inputs: np.ndarray | None) -> tuple[np.ndarray, ...]:
        total = inputs[0]
        assert total is not None
        flat = total.reshape(len(total), -1).astype(np.int64)
        sums, expected = flat[:, :-1], flat[:, -1]
        mean = mean_of(sums, self.passes) - LEVELS // 2
        table = np.append(entropy_table(), 0).astype(np.int64)
        whole, rest = sums // self.passes, sums % self.passes
        predictive = (table[whole] * (self.passes - rest) + table[whole + 1] * rest).sum(axis=1)
        figures = [mean_of(v, self.passes) for v in (predictive, expected, predictive - expected)]
        abstains = (figures[0] > self.abstain_above) & (self.abstain_above >= 0)
        return (
            mean.astype(np.int8).reshape(len(total), *self.outputs[0].shape),
            np.stack([*figures, abstains], axis=1).astype(np.int32).reshape(-1, *self.outputs[1].shape),
        )

    def emit(self, c: Emission) -> str:
        c.kernel("monte_carlo.h")
        table = c.constant("entropies", entropy_table(), "1/1024 bit, of probabilities in 1/256")
        shape = c_shape(
            "tg_monte_carlo_shape",
            classes=self.classes,
            passes=self.passes,
            abstain_above=self.abstain_above,
        )
        return f"{shape}\ntg_monte_carlo_mean(&shape, {c.input(0)}, {table}, {c.output(0)}, {c.output(1)});"


def require_probabilities(operator: Operator, index: int) -> None:
    """Input `index` must be what an int8 SOFTMAX writes: scale 1/256, zero point -128."""
    scores = operator.input_tensor(index)
    fits = scores.dtype == "int8" and scores.scale == 1 / LEVELS and scores.zero_point == -LEVELS // 2
    operator.require(fits, f"'{scores.name}' is not the output of an int8 softmax, scale 1/256")
