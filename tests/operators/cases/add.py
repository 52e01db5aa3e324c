# SPDX-License-Identifier: Apache-2.0
"""ADD and SUB: equal shapes, broadcasting, constants on either side, fused activations."""

import numpy as np

from tests.operators.builder import ACTIVATIONS, GraphBuilder, activation_dtype, draw_zero_point
from tests.operators.cases._operands import add_operands
from tinyguard.graph import Graph


def case(rng: np.random.Generator, scheme: str) -> Graph:
    builder, dtype = GraphBuilder(), activation_dtype(scheme)
    operands, shape = add_operands(builder, rng, scheme)
    largest = max(builder.tensors[t].scale for t in operands)
    operator = str(rng.choice(["ADD", "SUB"], p=[0.65, 0.35]))
    scale = largest * 2.0 ** rng.uniform(-5, 4)
    zero_point = draw_zero_point(rng, dtype)
    activation = str(rng.choice(ACTIVATIONS))
    builder.node(
        operator,
        operands,
        shape,
        dtype,
        scale,
        zero_point,
        fused_activation_function=activation if scale > 1e-8 else "NONE",  # 6 / scale must fit in int32
        pot_scale_int16=False,
    )
    return builder.graph()
