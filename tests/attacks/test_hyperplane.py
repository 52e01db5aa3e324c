# SPDX-License-Identifier: Apache-2.0
"""Projections onto a plane inside the box, and steps that a grid would swallow."""

import dataclasses

import pytest

torch = pytest.importorskip("torch")

from tinyguard.attacks.hyperplane import project_onto_plane, reach_on_grid  # noqa: E402
from tinyguard.attacks.space import continuous, distance  # noqa: E402
from tinyguard.native import loops  # noqa: E402

ELEMENTS = 12
SPACE = continuous((ELEMENTS,))
CODES = dataclasses.replace(SPACE, grid_step=torch.full((1,), 1 / 16))


def case(seed: int, count: int = 64) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Points, normals with zeros among them, and levels that are met inside the box."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(count, ELEMENTS, generator=generator)
    normal = torch.randn(count, ELEMENTS, generator=generator)
    normal[torch.rand(count, ELEMENTS, generator=generator) < 0.2] = 0
    met = torch.rand(count, ELEMENTS, generator=generator)
    return x, normal, (normal * met).sum(dim=1)


def by_bisection(x: torch.Tensor, normal: torch.Tensor, level: torch.Tensor, norm: str) -> torch.Tensor:
    """The same by bisecting the multiple of the direction, in float64."""
    x, normal, level = x.double(), normal.double(), level.double()
    way = (normal.sign() if norm == "linf" else normal) * (level - (normal * x).sum(1)).sign()[:, None]
    low, high = torch.zeros(len(x), 1).double(), torch.full((len(x), 1), 1e4).double()
    need = (level - (normal * x).sum(1)).abs()[:, None]
    for _ in range(80):
        middle = (low + high) / 2
        moved = (x + middle * way).clamp(0, 1)
        short = (normal * (moved - x)).sum(1).abs()[:, None] < need
        low, high = torch.where(short, middle, low), torch.where(short, high, middle)
    return (x + high * way).clamp(0, 1).float()


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("seed", range(5))
def test_a_projection_is_the_exact_one(norm: str, seed: int) -> None:
    x, normal, level = case(seed)
    projected = project_onto_plane(x, normal, level, SPACE, norm)
    assert projected.min() >= 0
    assert projected.max() <= 1
    assert torch.allclose((normal * projected).sum(1), level, atol=1e-5)
    assert torch.allclose(projected, by_bisection(x, normal, level, norm), atol=1e-5)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_inside_the_box_the_distance_is_that_of_a_plane(norm: str) -> None:
    x, normal, _ = case(9)
    x = 0.4 + 0.2 * x
    level = (normal * x).sum(1) + 0.05
    moved = project_onto_plane(x, normal, level, SPACE, norm) - x
    dual = normal.norm(p=1 if norm == "linf" else 2, dim=1)
    assert torch.allclose(distance(moved, norm), 0.05 / dual, atol=1e-6)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_plane_beyond_the_box_sends_to_its_corner(norm: str) -> None:
    x, normal, _ = case(3)
    moved = project_onto_plane(x, normal, torch.full((len(x),), 1e3), SPACE, norm)
    corner = torch.where(normal > 0, torch.ones_like(x), torch.where(normal < 0, torch.zeros_like(x), x))
    assert torch.allclose(moved, corner, atol=1e-6)
    still = project_onto_plane(x, torch.zeros_like(x), torch.ones(len(x)), SPACE, norm)
    assert torch.equal(still, x)


@pytest.mark.parametrize("shape", [(4, 5, 3), (7,), (1, 1, 1)])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_torch_gives_the_same_points_as_the_loops_in_c(
    norm: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(5)
    drawn = torch.rand(5, 200, *shape, generator=generator)
    low, high = drawn[3, 0, ..., :1] / 4, 1 - drawn[3, 1, ..., :1] / 4
    space = dataclasses.replace(continuous(shape), low=low, high=high, grid_step=torch.full((1,), 1 / 16))
    x, clean = space.clip(drawn[0]), space.round(drawn[1])
    normal = (drawn[2] - 0.5) * (drawn[4] > 0.2)
    level = (normal * space.clip(drawn[3])).flatten(1).sum(1)
    level[:5] = torch.tensor([0.0, 1e3, -1e3, 1e-30, float(level[4])])

    def answers() -> tuple[torch.Tensor, torch.Tensor]:
        projected = project_onto_plane(x, normal, level, space, norm)
        return projected, reach_on_grid(projected, clean, normal, level, space)

    assert loops.serves_floats(x, normal, level)
    found = answers()
    monkeypatch.setattr(loops, "library", lambda: None)
    for one, other in zip(found, answers(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=2e-7)


def test_a_step_under_half_a_code_is_stretched_until_its_rounding_arrives() -> None:
    x, normal, _ = case(4)
    clean = CODES.round(0.3 + 0.4 * x)
    step = 0.2 / 16 * normal / normal.norm(dim=1, keepdim=True)
    level = (normal * clean).sum(1) + 0.1
    reached = reach_on_grid(clean + step, clean, normal, level, CODES)
    assert torch.equal(CODES.round(clean + step), clean)
    assert ((normal * CODES.round(reached)).sum(1) >= level).all()
    shorter = clean + (reached - clean) * 0.999
    assert ((normal * CODES.round(shorter)).sum(1) < level + 1e-6).float().mean() > 0.9
    assert torch.equal(reach_on_grid(clean + step, clean, normal, level, SPACE), clean + step)
