# SPDX-License-Identifier: Apache-2.0
"""Input filters, two or four codes at a time."""

from __future__ import annotations

from typing import Any, ClassVar

from tinyguard.kernels.kernel import Cost, Kernel
from tinyguard.operators import Emission, Operator, Target
from tinyguard.operators.filter_total_variation import TotalVariationFilter

# Instructions per element, measured on 32x32x3 images.
_AN_ELEMENT = {"mean_2": 6, "mean_3": 14, "gaussian_3": 12, "gaussian_5": 24, "median_3": 23}


class WindowFilters(Kernel):
    """Sums in 16-bit lanes, or the order of four bytes, over a window."""

    name: ClassVar = "dsp filter"
    operators: ClassVar = ("FILTER_GAUSSIAN", "FILTER_MEAN", "FILTER_MEDIAN")

    def supports(self, operator: Any, target: Target) -> bool:
        return True

    def cost(self, operator: Any, target: Target) -> Cost:
        return Cost(_AN_ELEMENT[_variant(operator)] * operator.outputs[0].elements, 0)

    def in_place(self, operator: Operator) -> tuple[int, ...]:
        return operator.in_place

    def scratch_bytes(self, operator: Any, target: Target) -> int:
        return int(operator.scratch_bytes(target))

    def emit(self, operator: Any, c: Emission) -> str:
        return str(operator.emit_window(c, "dsp/window_filters.h", f"tg_dsp_filter_{_variant(operator)}"))


class TotalVariation(Kernel):
    """The descent, two elements in the lanes of a word."""

    name: ClassVar = "dsp total variation"
    operators: ClassVar = TotalVariationFilter.names

    def supports(self, operator: Any, target: Target) -> bool:
        return True

    def cost(self, operator: Any, target: Target) -> Cost:
        """Below the portable kernel's estimate, which does not count iterations."""
        return Cost(20.0 * operator.outputs[0].elements, 0)

    def scratch_bytes(self, operator: Any, target: Target) -> int:
        return int(operator.scratch_bytes(target))

    def emit(self, operator: Any, c: Emission) -> str:
        header, function = "dsp/total_variation.h", "tg_dsp_filter_total_variation"
        return str(operator.emit_descent(c, header, function))


def _variant(operator: Any) -> str:
    return f"{operator.kernel}_{operator.size}"
