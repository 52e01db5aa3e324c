# SPDX-License-Identifier: Apache-2.0
"""ART, Foolbox and torchattacks attack the integer network as it is, through `Simulator.as_module()`."""

from typing import Any

import numpy as np
import pytest

from tests.attacks.oracle_libraries import need

torch = pytest.importorskip("torch")
need("art", "foolbox", "torchattacks", "sklearn")

from tests.attacks import networks, oracle_figures, oracles  # noqa: E402
from tinyguard.attacks.deepfool import DeepFool  # noqa: E402
from tinyguard.attacks.pgd import PGD  # noqa: E402
from tinyguard.attacks.problem import Problem  # noqa: E402
from tinyguard.attacks.space import space_of  # noqa: E402
from tinyguard.attacks.victim import IntegerVictim  # noqa: E402
from tinyguard.data.pixel_normalization import PRESETS  # noqa: E402
from tinyguard.simulator.network import Simulator  # noqa: E402
from tinyguard.tflite import read_graph  # noqa: E402

COUNT = 100
CODES = 20
EPS = CODES / 255
STEPS = 20
SEEDS = (0, 1, 2)
POINTS = 1.0
RATIO = 1.05


@pytest.fixture(scope="module")
def network() -> IntegerVictim:
    graph = read_graph(networks.MODELS / "digits" / "model.tflite")
    tensor = graph.tensors[graph.inputs[0]]
    return IntegerVictim(Simulator(graph), space_of(tensor, PRESETS["unit"]))


def _rounded(victim: IntegerVictim, x: np.ndarray) -> torch.Tensor:
    """Images (N, C, H, W) as the device receives them, (N, H, W, C)."""
    return victim.space.round(torch.from_numpy(np.ascontiguousarray(x.transpose(0, 2, 3, 1))))


def _problem(victim: IntegerVictim, seed: int = 0) -> tuple[Problem, np.ndarray, np.ndarray]:
    """The images classified as their label, and all images with their labels."""
    x, y = networks.images("digits", COUNT)
    shares, labels = _rounded(victim, x), torch.from_numpy(y)
    problem = Problem(victim, shares, labels, None, torch.arange(COUNT), seed)
    return problem.select(victim.query(shares).decided == labels), x, y


@pytest.mark.parametrize(
    ("adapter", "parameters"),
    [
        ("art_pgd", {"eps": EPS, "eps_step": EPS / 4, "max_iter": STEPS, "num_random_init": 1}),
        ("foolbox_pgd_linf", {"epsilon": EPS, "abs_stepsize": EPS / 4, "steps": STEPS}),
        ("torchattacks_pgd_linf", {"eps": EPS, "alpha": EPS / 4, "steps": STEPS}),
    ],
)
def test_pgd_of_others_is_no_stronger(
    network: IntegerVictim, adapter: str, parameters: dict[str, Any]
) -> None:
    module = network.simulator.as_module()
    theirs, ours = [], []
    for seed in SEEDS:
        problem, x, y = _problem(network, seed)
        found = _rounded(network, getattr(oracles, adapter)(module, x, y, seed=seed, **parameters))
        moved = (network.space.codes(found) - network.space.codes(_rounded(network, x))).abs()
        assert 0 < moved.max() <= CODES
        theirs.append(100 * float((network.query(found).decided == torch.from_numpy(y)).float().mean()))
        outcome = PGD(eps=EPS, steps=STEPS, step_size=EPS / 4).run(problem)
        moved = (network.space.codes(outcome.x) - network.space.codes(problem.x)).abs()
        assert moved.max() <= CODES
        ours.append(100 * (len(problem) - int(outcome.success.sum())) / COUNT)
    clean = 100 * len(problem) / COUNT
    assert np.mean(theirs) < clean - 10, "the library finds the gradient of the integer network"
    assert np.mean(ours) <= np.mean(theirs) + POINTS, (ours, theirs)


@pytest.mark.slow
def test_deepfool_of_foolbox_is_no_nearer_once_rounded(network: IntegerVictim) -> None:
    problem, x, y = _problem(network)
    module = network.simulator.as_module()
    found = _rounded(network, oracles.foolbox_deepfool(module, x, y, steps=100, overshoot=0.008))
    labels = torch.from_numpy(y)
    clean = _rounded(network, x)
    correct = (network.query(clean).decided == labels).numpy()
    hit = (network.query(found).decided != labels).numpy()
    far = oracle_figures.norms((found - clean).numpy())["l2"]
    theirs = np.median(np.where(hit, far, np.inf)[correct])
    outcome = DeepFool().run(problem)
    distances = oracle_figures.norms((outcome.x - problem.x).numpy())["l2"]
    ours = np.median(np.where(outcome.success.numpy(), distances, np.inf))
    assert np.isfinite(ours)
    assert ours <= RATIO * theirs, (ours, theirs)
