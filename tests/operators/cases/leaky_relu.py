# SPDX-License-Identifier: Apache-2.0
"""LEAKY_RELU with slopes from none to above one."""

import numpy as np

from tests.operators.cases._codes import unary
from tinyguard.graph import Graph


def case(rng: np.random.Generator, scheme: str) -> Graph:
    alpha = float(rng.choice([0.0, 0.01, 0.1, 0.2, 0.3, rng.uniform(0, 1), rng.uniform(1, 3)]))
    return unary("LEAKY_RELU", rng, scheme, (-4, 4), alpha=alpha)
