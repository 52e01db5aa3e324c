# SPDX-License-Identifier: Apache-2.0
"""The attack in the loop: inside the ball and the pixels, uphill, whole codes on an integer network."""

import pytest
import torch
from torch.nn import functional

from tests.training.networks import DIGITS
from tinyguard.attacks.space import continuous
from tinyguard.errors import TinyguardError
from tinyguard.tflite import read_metadata
from tinyguard.tflite.reader import read_graph
from tinyguard.training.ascent import Ascent
from tinyguard.training.integer_network import IntegerNetwork
from tinyguard.training.randomness import StepDraws

DRAWS = StepDraws(3, 1, 4)
X = torch.rand(32, 8, 8, 1, generator=torch.Generator().manual_seed(0))
Y = torch.arange(32) % 10


def loss(logits: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(logits, Y, reduction="sum")


def linear(x: torch.Tensor) -> torch.Tensor:
    weights = torch.randn(64, 10, generator=torch.Generator().manual_seed(1))
    return x.flatten(1) @ weights


@pytest.mark.parametrize("start", ["uniform", "near", "clean"])
@pytest.mark.parametrize("share", [1.0, 0.3])
def test_it_stays_in_the_ball_and_the_pixels_and_climbs(start: str, share: float) -> None:
    ascent = Ascent(0.1, 0.04, 5, start, share)
    found = ascent.run(linear, continuous((8, 8, 1)), X, loss, DRAWS)
    assert float((found - X).abs().max()) <= 0.1 * share + 1e-6
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1
    assert float(loss(linear(found))) > float(loss(linear(X)))


def test_on_an_integer_network_it_returns_whole_codes_inside_whole_codes() -> None:
    network = IntegerNetwork(read_graph(DIGITS), read_metadata(DIGITS))
    clean = network.space.round(X)
    found = Ascent(10.7 / 255, 3 / 255, 4).run(network.attacked(), network.space, clean, loss, DRAWS)
    steps = (found - clean) * 255
    torch.testing.assert_close(steps, steps.round(), rtol=0, atol=1e-3)
    assert float(steps.abs().max()) == pytest.approx(10, abs=1e-3)
    with torch.no_grad():
        assert float(loss(network.attacked()(found))) > float(loss(network.attacked()(clean)))


def test_a_budget_under_one_code_is_refused() -> None:
    network = IntegerNetwork(read_graph(DIGITS), read_metadata(DIGITS))
    with pytest.raises(TinyguardError, match="under one code"):
        Ascent(0.5 / 255, 0.1, 2).run(network.attacked(), network.space, X, loss, DRAWS)


def test_draws_depend_on_seed_epoch_and_step_alone() -> None:
    def start(seed: int, epoch: int, step: int) -> torch.Tensor:
        ascent, space = Ascent(0.1, 0.1, 0), continuous((8, 8, 1))
        return ascent.run(linear, space, X, loss, StepDraws(seed, epoch, step))

    assert torch.equal(start(1, 2, 3), start(1, 2, 3))
    others = [start(2, 2, 3), start(1, 3, 3), start(1, 2, 4)]
    assert not any(torch.equal(start(1, 2, 3), other) for other in others)
