# SPDX-License-Identifier: Apache-2.0
"""TOY_MARK: whether the largest score is too low to be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from tinyguard.operators import Emission, Operator

if TYPE_CHECKING:
    import torch

ABOVE = "toy_above"  # the setting of that name
_FUNCTION = """\
static inline void toy_mark(int32_t count, const int8_t *scores, int32_t above, int32_t *mark)
{
    int32_t largest = scores[0];
    for (int32_t i = 1; i < count; ++i) {
        largest = scores[i] > largest ? scores[i] : largest;
    }
    *mark = largest < above;
}
"""


class ToyMark(Operator):
    """Input: int8 scores. Output: int32 (1, 1), 1 where the largest code is below the setting ABOVE."""

    names: ClassVar = ("TOY_MARK",)
    in_file: ClassVar = False
    reads: ClassVar = (ABOVE,)

    def prepare(self) -> None:
        self.require_codes(self.input_tensor(0))
        self.require(self.input_tensor(0).dtype == "int8", "scores other than int8")

    def run(self, *inputs: np.ndarray | None) -> tuple[np.ndarray, ...]:
        scores = inputs[0]
        assert scores is not None
        (above,) = self.setting(ABOVE)
        largest = scores.reshape(len(scores), -1).max(axis=1)
        return ((largest < above).astype(np.int32).reshape(-1, 1, 1),)

    def surrogate(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        """A mark passes no gradient."""
        scores = inputs[0]
        assert scores is not None
        return (0 * scores.reshape(len(scores), -1).sum(dim=1).reshape(-1, 1, 1),)

    def emit(self, c: Emission) -> str:
        c.function("toy_mark", _FUNCTION)
        return f"toy_mark({self.input_tensor(0).elements}, {c.input(0)}, *{c.setting(ABOVE)}, {c.output()});"
