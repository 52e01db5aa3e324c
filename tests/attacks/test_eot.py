# SPDX-License-Identifier: Apache-2.0
"""Expectation over transformation: seeds that keep apart, means of networks, the same in every batch."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from tinyguard.attacks.eot import EOTVictim
from tinyguard.attacks.fresh_masks import FreshMasks
from tinyguard.attacks.pgd import PGD
from tinyguard.attacks.problem import Problem
from tinyguard.attacks.space import Space, space_of
from tinyguard.attacks.square import Square
from tinyguard.attacks.victim import IntegerVictim
from tinyguard.data import load_data, to_codes
from tinyguard.defenses.monte_carlo_dropout import find_sites, plain_graph, with_stochastic
from tinyguard.errors import TinyguardError
from tinyguard.robustness.attacked_network import open_target
from tinyguard.simulator.network import Simulator
from tinyguard.tflite import read_graph, read_metadata
from tinyguard.tflite.record.stochastic import Stochastic

DIGITS = Path(__file__).parents[2] / "models" / "digits" / "model.tflite"
SAMPLES = 24


@pytest.fixture(scope="module")
def stochastic() -> tuple[Simulator, Space, torch.Tensor, torch.Tensor]:
    """The digits network with 40 % dropped in 3 passes, its space, inputs in shares and labels."""
    content = DIGITS.read_bytes()
    sites = find_sites(plain_graph(content), ["auto"])
    hardened = with_stochastic(content, Stochastic(sites, 102, 3, seed=9))
    graph, metadata = read_graph(hardened), read_metadata(hardened)
    assert metadata is not None
    tensor = graph.tensors[graph.inputs[0]]
    loaded = load_data("digits:test", tensor, limit=SAMPLES)
    space = space_of(tensor, metadata.normalization)
    assert loaded.y is not None
    return (
        Simulator(graph),
        space,
        space.shares(to_codes(loaded, tensor, metadata)),
        torch.from_numpy(loaded.y),
    )


@pytest.mark.parametrize("key", [0, 1, 2**63 - 1])
def test_attack_and_scoring_seeds_are_disjoint(key):
    masks = FreshMasks(8, 50, key)
    seen = {seed for step in range(200) for seed in (*masks.slopes(step), masks.query(step))}
    seen |= set(masks.choice())
    scoring = set(masks.scoring())
    assert len(scoring) == 50
    assert len(seen) == 200 * 9 + 32
    assert not seen & scoring
    assert all(seed % 2 == 0 for seed in seen)  # whatever the step
    assert all(seed % 2 == 1 for seed in scoring)
    assert all(0 <= seed < 2**64 for seed in seen | scoring)


def test_seeds_are_functions_of_key_and_step():
    assert FreshMasks(8, key=3).slopes(7)[:2] == FreshMasks(2, key=3).slopes(7)
    assert FreshMasks(key=3).slopes(7) != FreshMasks(key=3).slopes(8)
    assert FreshMasks(key=3).scoring() != FreshMasks(key=4).scoring()


def test_what_no_mask_changes_runs_once_and_gives_the_same(stochastic, monkeypatch):
    simulator, space, x, _ = stochastic
    codes, seeds = space.code_array(x), (3, 2**64 - 1, 8)
    alone = [simulator.seeded(seed) for seed in seeds]
    for found, one in zip(simulator.run_under(seeds, codes), alone, strict=True):
        for y, expected in zip(found, one.run(codes), strict=True):
            assert y.dtype == expected.dtype
            np.testing.assert_array_equal(y, expected)
    for (outputs, logits), one in zip(simulator.taps_under(seeds, space.codes(x)), alone, strict=True):
        expected, other = one.taps(space.codes(x))
        assert torch.equal(logits, other)
        assert all(torch.equal(y, z) for y, z in zip(outputs, expected, strict=True))
    ran = []
    first = type(simulator.layers[0])
    forward = first.forward
    monkeypatch.setattr(first, "forward", lambda self, *y: ran.append(self) or forward(self, *y))
    simulator.run_under(seeds, codes[:4])
    assert ran.count(simulator.layers[0]) == 1


def test_gradient_is_the_mean_of_seeded_gradients(stochastic):
    simulator, space, x, y = stochastic
    masks = FreshMasks(attack_seeds=4, key=5)
    eot = EOTVictim(simulator, space, masks)

    def loss(logits, rows):
        return cross_entropy(logits, y[rows], reduction="none")

    for step in range(2):
        found = eot.slope(x, loss)
        alone = [IntegerVictim(simulator.seeded(seed), space).slope(x, loss) for seed in masks.slopes(step)]
        gradients = torch.stack([slope.gradient for slope in alone])
        torch.testing.assert_close(found.gradient, gradients.mean(dim=0))
        torch.testing.assert_close(found.loss, torch.stack([slope.loss for slope in alone]).mean(dim=0))
        assert not torch.equal(gradients[0], gradients[1])
        probabilities = torch.stack([torch.softmax(slope.logits, 1) for slope in alone]).mean(dim=0)
        torch.testing.assert_close(found.logits.exp(), probabilities)


def test_decided_is_the_answer_that_the_attacker_likes_least(stochastic):
    simulator, space, x, y = stochastic
    masks = FreshMasks(attack_seeds=6)

    def loss(logits, rows):
        return cross_entropy(logits, y[rows], reduction="none")

    noisy = space.round(
        space.clip(x + 0.3 * (torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) - 0.5))
    )
    found = EOTVictim(simulator, space, masks).slope(noisy, loss, backward=False)
    alone = [IntegerVictim(simulator.seeded(s), space).slope(noisy, loss, False) for s in masks.slopes(0)]
    losses, decided = torch.stack([a.loss for a in alone]), torch.stack([a.decided for a in alone])
    for sample in range(SAMPLES):
        assert found.decided[sample] == decided[losses[:, sample].argmin(), sample]


@pytest.mark.parametrize("attack", [PGD(0.08, steps=5, restarts=2), Square(0.08, queries=20)])
def test_results_do_not_depend_on_the_batch(stochastic, attack):
    simulator, space, x, y = stochastic

    def run(rows: slice):
        victim = EOTVictim(simulator, space, FreshMasks(2))
        ids = torch.arange(SAMPLES)
        return attack.run(Problem(victim, x[rows], y[rows], None, ids[rows], 0, stop_early=False)).x

    whole = run(slice(None))
    parts = torch.cat([run(slice(0, 5)), run(slice(5, None))])
    np.testing.assert_array_equal(whole.numpy(), parts.numpy())


def test_stretch_goes_to_the_edge(stochastic):
    _, space, x, _ = stochastic
    way = torch.zeros_like(x)
    way[:, 3, 3], way[:, 4, 4] = 0.02, -0.01
    near = space.round(space.clip(x + way))
    moved = (near != x).flatten(1).any(dim=1)
    far = space.stretch(near, x, "linf", space.radius("linf", 0.08))
    assert ((far - x).abs().flatten(1).max(dim=1).values[moved] > 0.03).all()
    assert (far - x).abs().max() <= 0.08
    far = space.stretch(near, x, "l2", space.radius("l2", 0.2))
    size = (far - x).flatten(1).norm(dim=1)
    assert (size <= 0.2 * (1 + 1e-5)).all()
    assert size[moved].median() > 0.15
    assert torch.equal(space.stretch(x, x, "l2", space.radius("l2", 0.2)), x)


def test_masks_need_a_stochastic_network():
    with pytest.raises(TinyguardError, match="draws no masks"):
        open_target(DIGITS, masks=FreshMasks())
