# SPDX-License-Identifier: Apache-2.0
"""MAXIMUM and MINIMUM on one quantization: equal shapes, broadcasting, constants on either side."""

import numpy as np

from tests.operators.builder import GraphBuilder, activation_dtype
from tests.operators.cases._operands import add_operands
from tinyguard.graph import Graph


def case(rng: np.random.Generator, scheme: str) -> Graph:
    builder = GraphBuilder()
    operands, shape = add_operands(builder, rng, scheme, same_quantization=True)
    builder.node(str(rng.choice(["MAXIMUM", "MINIMUM"])), operands, shape, activation_dtype(scheme))
    return builder.graph()
