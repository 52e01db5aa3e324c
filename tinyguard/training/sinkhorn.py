# SPDX-License-Identifier: Apache-2.0
"""The debiased Sinkhorn divergence of two clouds of logits, in the log domain.

Sources: Feydy et al. 2019, "Interpolating between optimal transport and MMD using Sinkhorn divergences"
(arXiv 1810.08278), equations 3 and 6 and section 3.1 for the symmetric iteration; its use against adversarial
examples: Costa & Pinto 2024 (arXiv 2404.05688), squared distance, entropic eps 1.0, at most 50 iterations.
"""

from __future__ import annotations

import math

import torch

_SETTLED = 1e-4  # times the entropy: potentials that move less are done


def sinkhorn_divergence(
    x: torch.Tensor, y: torch.Tensor, entropy: float = 1.0, iterations: int = 50
) -> torch.Tensor:
    """OT(x, y) - OT(x, x) / 2 - OT(y, y) / 2, of points (N, d) and (M, d) of equal weights; a scalar.

    OT is the entropic transport cost with cost |a - b|^2 and regularisation `entropy`, the relative entropy
    to the product of the weights. At least 0, 0 for equal clouds, symmetric; differentiable in both.
    """
    own = _transport(x, x, entropy, iterations), _transport(y, y, entropy, iterations)
    return _transport(x, y, entropy, iterations) - (own[0] + own[1]) / 2


def _transport(x: torch.Tensor, y: torch.Tensor, entropy: float, iterations: int) -> torch.Tensor:
    """The mean of the dual values at each potential and its optimum for the other one, so that swapping the
    clouds swaps the terms, however few the iterations. The gradient is that of the cost under the plans held
    fixed, which by the envelope theorem is the whole of it at the optimum."""
    cost = (x[:, None] - y[None]).square().sum(2)
    with torch.no_grad():
        left, right = _potentials(cost, entropy, iterations)
        best = _softmin(cost, right, entropy), _softmin(cost.t(), left, entropy)
        value = (best[0].mean() + right.mean() + left.mean() + best[1].mean()) / 2
        plan = _plan(cost, best[0], right, entropy) + _plan(cost, left, best[1], entropy)
    moved = (plan * cost).sum() / 2
    return value + moved - moved.detach()


def _potentials(cost: torch.Tensor, entropy: float, iterations: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Both potentials, (N,) and (M,), each moved half way to its optimum for the other one."""
    left, right = torch.zeros_like(cost[:, 0]), torch.zeros_like(cost[0])
    for _ in range(iterations):
        new = _softmin(cost, right, entropy), _softmin(cost.t(), left, entropy)
        change = max(float((new[0] - left).abs().max()), float((new[1] - right).abs().max()))
        left, right = (left + new[0]) / 2, (right + new[1]) / 2
        if change < _SETTLED * entropy:
            break
    return left, right


def _plan(cost: torch.Tensor, left: torch.Tensor, right: torch.Tensor, entropy: float) -> torch.Tensor:
    """The transport plan (N, M) of two potentials; all of it is 1."""
    return ((left[:, None] + right[None] - cost) / entropy).exp() / cost.numel()


def _softmin(cost: torch.Tensor, potential: torch.Tensor, entropy: float) -> torch.Tensor:
    """-entropy log mean exp((potential - cost) / entropy) over the columns."""
    scaled = (potential[None] - cost) / entropy
    return -entropy * (scaled.logsumexp(1) - math.log(cost.shape[1]))
