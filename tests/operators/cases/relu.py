# SPDX-License-Identifier: Apache-2.0
"""RELU, RELU6, RELU_N1_TO_1 and RELU_0_TO_1 standing alone, with bounds inside and outside the codes."""

import numpy as np

from tests.operators.cases._codes import unary
from tinyguard.graph import Graph


def case(rng: np.random.Generator, scheme: str) -> Graph:
    names = ["RELU", "RELU6"] if scheme == "int16x8" else ["RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1"]
    bits = 7 if scheme == "int8" else 15
    scale = 2.0 ** (rng.uniform(-2, 5) - bits)
    return unary(str(rng.choice(names)), rng, scheme, (-3, 3), scale)
