# SPDX-License-Identifier: Apache-2.0
"""PGD and FGSM: exact on a linear network, and what is their own."""

import dataclasses
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from tests.attacks.problems import cifar10, digits, linear, size  # noqa: E402
from tinyguard.attacks.pgd import FGSM, PGD, of_mean_one, random_point  # noqa: E402
from tinyguard.attacks.problem import Problem  # noqa: E402
from tinyguard.data import shared_folder  # noqa: E402
from tinyguard.robustness.transfer import open_sources  # noqa: E402

CODE = 1 / 255
PAPERS: dict[str, Any] = {"momentum": 0}


@pytest.fixture(scope="module")
def on_grid() -> Problem:
    return digits(24)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("parameters", [{}, PAPERS, {"loss": "margin"}], ids=["defaults", "papers", "margin"])
def test_a_linear_network_is_fooled_where_its_boundary_is_in_reach(
    norm: str, parameters: dict[str, Any]
) -> None:
    plane = linear(classes=2, count=40)
    distances = plane.distances(norm)
    eps = float(distances.median())
    found = PGD(eps, norm, steps=40, **parameters).run(plane.problem)
    assert not found.success[distances > eps * 1.0001].any()
    assert found.success[distances < eps * 0.99].all()
    assert (size(found, plane.problem, norm) <= eps * (1 + 1e-5)).all()


def test_fgsm_is_one_step_of_the_radius_along_the_sign() -> None:
    plane = linear(classes=2)
    other = plane.weight[1 - plane.problem.y] - plane.weight[plane.problem.y]
    found = FGSM(0.01).run(dataclasses.replace(plane.problem, stop_early=False))
    torch.testing.assert_close(found.x, plane.problem.x + 0.01 * other.sign())
    assert (found.queries == 2).all()


def test_a_step_size_stays_and_none_shrinks_from_the_radius_to_nothing() -> None:
    plane = linear(classes=2)
    problem = dataclasses.replace(plane.problem, stop_early=False)
    constant = PGD(0.1, steps=3, step_size=0.01, random_start=False).run(problem)
    torch.testing.assert_close(size(constant, problem, "linf"), torch.full((16,), 0.03))
    steps = [float(PGD(0.1, steps=4)._step(step, torch.tensor([0.1]))) for step in range(4)]
    assert steps == pytest.approx([0.1, 0.075, 0.05, 0.025])


def test_momentum_adds_up_gradients_of_mean_one() -> None:
    gradient = torch.tensor([[1.0, -3.0], [0.0, 0.0]])
    assert of_mean_one(gradient).tolist() == [[0.5, -1.5], [0.0, 0.0]]


def test_without_an_early_stop_everyone_climbs_on(on_grid: Problem) -> None:
    through = PGD(0.1, steps=6).run(dataclasses.replace(on_grid, stop_early=False))
    assert (through.queries == 7).all()
    stopped = PGD(0.1, steps=6).run(on_grid)
    assert stopped.queries[stopped.success].float().mean() < 7


def test_more_starts_and_steps_fool_no_fewer(on_grid: Problem) -> None:
    one = PGD(0.08, steps=5).run(on_grid)
    five = PGD(0.08, steps=5, restarts=5).run(on_grid)
    assert (five.success >= one.success).all()
    assert torch.equal(five.x[one.success], one.x[one.success])


def test_random_points_fill_the_ball() -> None:
    problem = linear(count=200).problem
    rows = torch.arange(200)
    square = (random_point(problem, rows, "linf", torch.tensor([0.1]), 0) - problem.x).abs()
    assert square.max() <= 0.1 + 1e-6
    assert square.mean() == pytest.approx(0.05, rel=0.05)
    lengths = (random_point(problem, rows, "l2", torch.tensor([0.1]), 0) - problem.x).norm(dim=1)
    # The mean distance from the middle of a ball in d dimensions is d / (d + 1) of its radius.
    assert lengths.max() <= 0.1 + 1e-6
    assert lengths.mean() == pytest.approx(0.1 * 24 / 25, rel=0.02)


@pytest.mark.slow
@pytest.mark.skipif(
    shared_folder() is None, reason="needs CIFAR-10 and MLPerf's ResNet-8 in TINYGUARD_SHARED"
)
def test_one_code_leaves_a_tenth_of_mlperfs_resnet8_and_transfer_leaves_more() -> None:
    folder = shared_folder()
    assert folder is not None
    graph, problem = cifar10(folder / "models" / "pretrainedResnet_quant.tflite", 300)
    one = 1 - PGD(CODE).run(problem).success.float().mean()
    assert one <= 0.10
    source = open_sources([str(folder / "models" / "pretrainedResnet.h5")], graph, None, 128)
    crafted = PGD(CODE).run(dataclasses.replace(problem, victim=source, stop_early=False))
    arrived = problem.victim.query(problem.space.round(crafted.x)).decided
    assert one <= 1 - problem.fooled(arrived).float().mean() + 0.01
    two = PGD(2 * CODE, steps=50, restarts=5).run(problem)
    assert two.success.all()
