# SPDX-License-Identifier: Apache-2.0
"""AVERAGE_POOL_2D, MAX_POOL_2D and MEAN in MVE."""

from __future__ import annotations

from typing import Any, ClassVar

from tinyguard.kernels.kernel import Cost
from tinyguard.kernels.mve._printed import Printed
from tinyguard.operators import Target

_MOST_AVERAGED = 4096  # codes per window, for which the reciprocal of its count is exact
_AN_OUTPUT = 10.0  # whatever the window: the portable kernel's estimate does not count it either


class Pool(Printed):
    """Windows of int8 codes."""

    name: ClassVar = "mve pool"
    operators: ClassVar = ("AVERAGE_POOL_2D", "MAX_POOL_2D")
    header: ClassVar = "mve/pool.h"
    functions: ClassVar = {
        "tg_average_pool_2d_s8": "tg_mve_average_pool_2d_s8",
        "tg_max_pool_2d_s8": "tg_mve_max_pool_2d_s8",
    }

    def supports(self, operator: Any, target: Target) -> bool:
        codes = operator.rows.kernel * operator.columns.kernel
        return operator.outputs[0].dtype == "int8" and codes <= _MOST_AVERAGED

    def cost(self, operator: Any, target: Target) -> Cost:
        return Cost(_AN_OUTPUT * operator.outputs[0].elements, 0, 500)


class Mean(Printed):
    """Means over axes outside the last one that is kept, which lies in one run."""

    name: ClassVar = "mve mean"
    operators: ClassVar = ("MEAN",)
    header: ClassVar = "mve/pool.h"
    functions: ClassVar = {"tg_mean_s8": "tg_mve_mean_s8"}

    def supports(self, operator: Any, target: Target) -> bool:
        kept = operator.reduction.kept
        return operator.outputs[0].dtype == "int8" and bool(kept) and kept[-1][1] == 1 and kept[-1][0] >= 4

    def cost(self, operator: Any, target: Target) -> Cost:
        return Cost(_AN_OUTPUT * operator.outputs[0].elements, 0, 500)
