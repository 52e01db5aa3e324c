# SPDX-License-Identifier: Apache-2.0
"""AVERAGE_POOL_2D and MAX_POOL_2D: windows, paddings, fused activations, now and then global."""

import numpy as np

from tests.operators.builder import ACTIVATIONS, GraphBuilder, activation_dtype
from tests.operators.cases._windows import draw_windows
from tinyguard.graph import Graph


def case(rng: np.random.Generator, scheme: str) -> Graph:
    w = draw_windows(rng, dilated=False)
    kernel, output, options = w.kernel, w.output, w.options
    if rng.random() < 0.15:
        kernel, output, options = w.size, (1, 1), {"padding": "VALID", "stride_h": 1, "stride_w": 1}
    depth = int(rng.integers(1, 12))
    b = GraphBuilder()
    x = b.input((1, *w.size, depth), activation_dtype(scheme), rng=rng)
    b.node(
        str(rng.choice(["AVERAGE_POOL_2D", "MAX_POOL_2D"])),
        [x],
        (1, *output, depth),
        activation_dtype(scheme),
        **options,
        filter_height=kernel[0],
        filter_width=kernel[1],
        fused_activation_function=str(rng.choice(ACTIVATIONS)),
    )
    return b.graph()
