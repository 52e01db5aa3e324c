# SPDX-License-Identifier: Apache-2.0
"""RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR: up, down, align_corners and half_pixel_centers."""

import numpy as np

from tests.operators.builder import GraphBuilder, activation_dtype
from tinyguard.graph import Graph


def case(rng: np.random.Generator, scheme: str) -> Graph:
    height, width, depth = (int(n) for n in rng.integers(1, 9, 3))
    if rng.random() < 0.4:
        size = (height * int(rng.integers(1, 5)), width * int(rng.integers(1, 5)))
    else:
        size = (int(rng.integers(1, 20)), int(rng.integers(1, 20)))
    kind = int(rng.integers(3))
    b = GraphBuilder()
    x = b.input((1, height, width, depth), activation_dtype(scheme), rng=rng)
    b.node(
        str(rng.choice(["RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR"])),
        [x, b.constant(np.array(size, np.int32))],
        (1, *size, depth),
        activation_dtype(scheme),
        align_corners=kind == 1,
        half_pixel_centers=kind == 2,
    )
    return b.graph()
