# SPDX-License-Identifier: Apache-2.0
"""MUL: equal shapes, broadcasting, constants on either side, fused activations."""

import numpy as np

from tests.operators.builder import ACTIVATIONS, GraphBuilder, activation_dtype, draw_zero_point
from tests.operators.cases._operands import add_operands
from tinyguard.graph import Graph


def case(rng: np.random.Generator, scheme: str) -> Graph:
    builder, dtype = GraphBuilder(), activation_dtype(scheme)
    operands, shape = add_operands(builder, rng, scheme)
    product = float(np.prod([builder.tensors[t].scale for t in operands]))
    reach = (-1, 10) if dtype == "int8" else (1, 18)  # output codes for one product of codes
    scale = product * 2.0 ** rng.uniform(*reach)
    activation = str(rng.choice(ACTIVATIONS)) if scale > 1e-8 else "NONE"  # 6 / scale must fit in int32
    builder.node(
        "MUL",
        operands,
        shape,
        dtype,
        scale,
        draw_zero_point(rng, dtype),
        fused_activation_function=activation,
    )
    return builder.graph()
