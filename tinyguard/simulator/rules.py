# SPDX-License-Identifier: Apache-2.0
"""How gradients pass where rounding, clamping and filtering leave a choice."""

from dataclasses import dataclass

GRADIENTS = ("smooth", "identity")


@dataclass(frozen=True)
class Rules:
    """No value follows from them.

    `leak` is the fraction of the gradient that passes outside clamps. `filter_gradient`, one of GRADIENTS, is
    that of input filters: "smooth", their own or that of a smooth function near them, or "identity", as if
    they were not there (BPDA: Athalye et al. 2018, arXiv 1802.00420).
    """

    leak: float = 0.0
    filter_gradient: str = GRADIENTS[0]


PLAIN = Rules()  # nothing leaks, filters pass their own gradient
