# SPDX-License-Identifier: Apache-2.0
"""ADD and SUB in float32: the codes of the table for every pair, and the gradient of the real sum."""

import numpy as np
import pytest
import torch

from tests.operators.builder import GraphBuilder
from tinyguard.native import loops
from tinyguard.operators import resolve
from tinyguard.simulator.add import AddLayer
from tinyguard.simulator.choose_layer import layer_of

CODES = np.arange(-128, 128, dtype=np.int8)
HALVES = (0.05, 0.05, 0.1)


def operator(name: str, scales: tuple[float, float, float], activation: str, seed: int) -> AddLayer:
    """One node on two inputs of 65,536 codes per sample, one for each pair."""
    rng = np.random.default_rng(seed)
    zero_points = rng.integers(-128, 128, 3)
    builder = GraphBuilder()
    shape = (1, 256, 256)
    a, b = (builder.input(shape, "int8", s, int(z)) for s, z in zip(scales[:2], zero_points, strict=False))
    options = {"fused_activation_function": activation, "pot_scale_int16": False}
    builder.node(name, [a, b], shape, "int8", scales[2], int(zero_points[2]), **options)
    (resolved,) = resolve(builder.graph())
    found = layer_of(resolved)
    assert isinstance(found, AddLayer)
    return found


@pytest.mark.parametrize("name", ["ADD", "SUB"])
@pytest.mark.parametrize("activation", ["NONE", "RELU", "RELU6"])
@pytest.mark.parametrize("scales", [HALVES, (0.023, 0.071, 0.049), (0.02, 0.3, 0.011), (0.1, 0.1, 0.1)])
def test_every_pair_of_codes(name: str, activation: str, scales: tuple[float, float, float]) -> None:
    add = operator(name, scales, activation, seed=len(name) + len(activation))
    a, b = (np.ascontiguousarray(x)[None, None] for x in np.meshgrid(CODES, CODES, indexing="ij"))
    ties = scales == HALVES and activation == "NONE"  # away from zero on both of its sides
    assert (add.pair is None) == ties
    (expected,) = add.operator.run(a, b)
    x, y = (torch.from_numpy(v.astype(np.float32)).requires_grad_() for v in (a, b))
    (found,) = add.forward(x, y)
    np.testing.assert_array_equal(found.detach().numpy(), expected)
    with torch.no_grad():
        assert torch.equal(add.forward(x, y)[0], found)
    if add.takes_bytes:
        (in_bytes,) = add.answer(*(loops.as_bytes(v.detach()) for v in (x, y)))
        assert in_bytes.dtype == torch.uint8
        np.testing.assert_array_equal(in_bytes.numpy() ^ 128, expected.view(np.uint8))
    assert add.takes_bytes != ties

    upstream = torch.from_numpy(np.random.default_rng(1).normal(size=expected.shape))
    found.backward(upstream.float())
    u, v = (torch.from_numpy(c.astype(np.float64)).requires_grad_() for c in (a, b))
    real = add.surrogate(u, v)[0]
    real.clamp(add.operator.low, add.operator.high).backward(upstream)
    edges = ((real - add.operator.low).abs() < 1e-3) | (
        (real - add.operator.high).abs() < 1e-3
    )  # float32 may take either side
    for one, other in ((x, u), (y, v)):
        assert one.grad is not None
        assert other.grad is not None
        torch.testing.assert_close(one.grad.double()[~edges], other.grad[~edges], rtol=1e-5, atol=1e-6)


def test_without_a_weighted_sum_the_table_serves() -> None:
    add = operator("ADD", (0.023, 0.071, 0.049), "NONE", seed=3)
    add.pair = None
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-128, 128, (2, 1, 256, 256)).astype(np.int8) for _ in range(2))
    (found,) = add.forward(*(torch.from_numpy(v.astype(np.float32)) for v in (a, b)))
    np.testing.assert_array_equal(found.numpy(), add.operator.run(a, b)[0])
