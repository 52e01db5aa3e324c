# SPDX-License-Identifier: Apache-2.0
"""The Sinkhorn divergence against plain iterations in float64, its properties, and its gradient."""

import numpy as np
import pytest
import torch

from tinyguard.training.sinkhorn import sinkhorn_divergence


def transport(x: np.ndarray, y: np.ndarray, entropy: float) -> float:
    """<P, C> + entropy KL(P | a b), by Sinkhorn's plain scalings until they stand still."""
    cost = ((x[:, None] - y[None]) ** 2).sum(2)
    a, b = np.full(len(x), 1 / len(x)), np.full(len(y), 1 / len(y))
    kernel = np.exp(-cost / entropy) * np.outer(a, b)
    u, v = np.ones(len(x)), np.ones(len(y))
    for _ in range(5000):
        u = a / (kernel @ v)
        v = b / (kernel.T @ u)
    plan = u[:, None] * kernel * v[None]
    return float((plan * cost).sum() + entropy * (plan * np.log(plan / np.outer(a, b))).sum())


def reference(x: np.ndarray, y: np.ndarray, entropy: float) -> float:
    return transport(x, y, entropy) - (transport(x, x, entropy) + transport(y, y, entropy)) / 2


def clouds(seed: int, count: tuple[int, int] = (6, 8)) -> tuple[torch.Tensor, torch.Tensor]:
    random = np.random.default_rng(seed)
    x, y = (random.normal(size=(n, 3)) * 0.7 for n in count)
    return torch.from_numpy(x), torch.from_numpy(y + 0.5)


@pytest.mark.parametrize("entropy", [0.5, 1.0, 3.0])
def test_it_is_what_plain_iterations_reach(entropy: float) -> None:
    for seed in range(5):
        x, y = clouds(seed)
        found = float(sinkhorn_divergence(x, y, entropy, iterations=1000))
        assert found == pytest.approx(reference(x.numpy(), y.numpy(), entropy), abs=1e-3)


def test_fifty_iterations_are_near() -> None:
    x, y = clouds(3)
    assert float(sinkhorn_divergence(x, y)) == pytest.approx(reference(x.numpy(), y.numpy(), 1.0), abs=1e-2)


def test_single_points_are_as_far_as_their_squared_distance() -> None:
    x, y = torch.zeros(1, 4), torch.full((1, 4), 1.5)
    assert float(sinkhorn_divergence(x, y)) == pytest.approx(9.0, abs=1e-5)


def test_it_is_symmetric_not_negative_and_zero_for_equal_clouds() -> None:
    for seed in range(10):
        x, y = clouds(seed)
        there, back = sinkhorn_divergence(x, y), sinkhorn_divergence(y, x)
        torch.testing.assert_close(there, back, rtol=0, atol=1e-9)
        assert float(there) > 0
        assert float(sinkhorn_divergence(x, x)) == pytest.approx(0, abs=1e-12)
        shuffled = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))]
        assert float(sinkhorn_divergence(x, shuffled)) == pytest.approx(0, abs=1e-6)


def test_large_logits_stay_finite() -> None:
    x, y = (100 * cloud for cloud in clouds(0))
    x.requires_grad_()
    value = sinkhorn_divergence(x, y)
    (gradient,) = torch.autograd.grad(value, x)
    assert bool(torch.isfinite(value))
    assert bool(torch.isfinite(gradient).all())


def test_the_gradient_is_that_of_finite_differences() -> None:
    x, y = clouds(1)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(sinkhorn_divergence(x, y, iterations=2000), x)
    step = 1e-3
    for place in ((0, 0), (2, 1), (5, 2)):
        moved = [x.detach().clone().numpy() for _ in range(2)]
        moved[0][place] += step
        moved[1][place] -= step
        above, below = (reference(m, y.numpy(), 1.0) for m in moved)
        assert float(gradient[place]) == pytest.approx((above - below) / (2 * step), abs=2e-3)
