# SPDX-License-Identifier: Apache-2.0
"""ADD and SUB of int16 codes in float64: TFLite's codes by stages, and the gradient of the real sum."""

import math

import numpy as np
import pytest
import torch

from tests.operators.builder import GraphBuilder
from tinyguard.arithmetic import Multiplier, fixed_point
from tinyguard.operators import resolve
from tinyguard.simulator import staged_pair
from tinyguard.simulator.add import AddLayer
from tinyguard.simulator.choose_layer import layer_of

CODES = np.arange(-32768, 32768)
SIDE = 512  # pairs per sample, squared


def operator(name: str, scales: tuple[float, float, float], activation: str) -> AddLayer:
    builder = GraphBuilder()
    shape = (1, SIDE, SIDE)
    a, b = (builder.input(shape, "int16", scale) for scale in scales[:2])
    options = {"fused_activation_function": activation, "pot_scale_int16": False}
    builder.node(name, [a, b], shape, "int16", scales[2], 0, **options)
    (resolved,) = resolve(builder.graph())
    found = layer_of(resolved)
    assert isinstance(found, AddLayer)
    return found


def pairs(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """int16 codes (2, 1, SIDE, SIDE): any, and the ends of the range with their neighbours and zero."""
    rng = np.random.default_rng(seed)
    ends = np.array([-32768, -32767, -1, 0, 1, 32766, 32767])
    drawn = rng.integers(-32768, 32768, (2, 2, 1, SIDE, SIDE))
    drawn = np.where(rng.random(drawn.shape) < 0.2, rng.choice(ends, drawn.shape), drawn)
    return drawn[0].astype(np.int16), drawn[1].astype(np.int16)


@pytest.mark.parametrize("name", ["ADD", "SUB"])
@pytest.mark.parametrize("activation", ["NONE", "RELU", "RELU6"])
@pytest.mark.parametrize(
    "scales",
    [
        (2**-12, 2**-12, 2**-11),
        (2e-4, 7.1e-4, 5.3e-4),
        (1e-4, 1e-3, 1e-4),
        (1e-3, 1e-3, 1e-3),
        (1e-5, 1e-6, 1),
    ],
)
def test_codes_and_gradients(name: str, activation: str, scales: tuple[float, float, float]) -> None:
    add = operator(name, scales, activation)
    assert add.pair is not None
    a, b = pairs(seed=len(name) + len(activation))
    x, y = (torch.from_numpy(v.astype(np.float32)).requires_grad_() for v in (a, b))
    (found,) = add.forward(x, y)
    np.testing.assert_array_equal(found.detach().numpy(), add.operator.run(a, b)[0])
    with torch.no_grad():
        assert torch.equal(add.forward(x, y)[0], found)

    upstream = torch.from_numpy(np.random.default_rng(1).normal(size=found.shape))
    found.backward(upstream.float())
    u, v = (torch.from_numpy(c.astype(np.float64)).requires_grad_() for c in (a, b))
    real = add.surrogate(u, v)[0]
    real.clamp(add.operator.low, add.operator.high).backward(upstream)
    # The stages' own roundings and float32 scales may take either side of an edge.
    edges = ((real - add.operator.low).abs() < 1e-2) | ((real - add.operator.high).abs() < 1e-2)
    for one, other in ((x, u), (y, v)):
        assert one.grad is not None
        assert other.grad is not None
        torch.testing.assert_close(one.grad.double()[~edges], other.grad[~edges], rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("value", [1 << 30, (1 << 30) + (1 << 15), (1 << 31) - (1 << 15), 1518500250])
@pytest.mark.parametrize("shift", [0, -1, -2, -5, -16, -31])
def test_an_operand_of_every_code(value: int, shift: int) -> None:
    """Multipliers with 15 zeros put half of the products on the first rounding's ties."""
    multiplier = Multiplier(value, shift)
    expected = fixed_point.multiply_by_quantized_multiplier(CODES << 15, value, shift)
    found = torch.from_numpy(CODES).double()
    staged_pair._round(found, torch.empty_like(found), math.ldexp(multiplier.real, 15), -shift)
    np.testing.assert_array_equal(found.numpy(), expected)


def test_a_sum_that_float64_rounds_to_another_code_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    add = operator("ADD", (2e-4, 7.1e-4, 5.3e-4), "NONE")
    assert add.pair is not None
    rounded = staged_pair._round

    def less_exactly(
        x: torch.Tensor, space: torch.Tensor, factor: float, right: int, upwards: bool = False
    ) -> None:
        rounded(x, space, factor * (1 + 2e-9), right, upwards)

    monkeypatch.setattr(staged_pair, "_round", less_exactly)
    assert operator("ADD", (2e-4, 7.1e-4, 5.3e-4), "NONE").pair is None


def test_without_a_staged_sum_numpy_serves() -> None:
    add = operator("ADD", (2e-4, 7.1e-4, 5.3e-4), "NONE")
    add.pair = None
    a, b = pairs(seed=0)
    (found,) = add.forward(*(torch.from_numpy(v.astype(np.float32)) for v in (a, b)))
    np.testing.assert_array_equal(found.numpy(), add.operator.run(a, b)[0])
