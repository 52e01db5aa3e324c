# SPDX-License-Identifier: Apache-2.0
"""HARD_SWISH on int8, from ranges inside [-3, 3] to far outside."""

import numpy as np

from tests.operators.cases._codes import unary
from tinyguard.graph import Graph

SCHEMES = ("int8",)


def case(rng: np.random.Generator, scheme: str) -> Graph:
    return unary("HARD_SWISH", rng, scheme, (-5, 4), 2.0 ** rng.uniform(-10, -1))
