# SPDX-License-Identifier: Apache-2.0
"""ABS with and without a rescale."""

import numpy as np

from tests.operators.cases._codes import unary
from tinyguard.graph import Graph


def case(rng: np.random.Generator, scheme: str) -> Graph:
    return unary("ABS", rng, scheme, (-4, 4))
