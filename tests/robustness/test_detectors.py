# SPDX-License-Identifier: Apache-2.0
"""Attacks on networks that mark answers: what is noticed is no success, and gradients can know of it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tinyguard.attacks import find_attack
from tinyguard.data.network_codes import read_codes
from tinyguard.defenses.feature_squeezing import with_squeezing
from tinyguard.defenses.input_filters import with_filters
from tinyguard.graph.answer import UNDECIDED, VERSION, decide, tensors_of
from tinyguard.robustness.attacked_network import Target, open_target
from tinyguard.robustness.run import attack_samples
from tinyguard.robustness.scoring import score
from tinyguard.simulator.network import Simulator
from tinyguard.tflite import read_graph
from tinyguard.tflite.record.filters import parse_filter
from tinyguard.tflite.record.squeezing import Squeezing

DIGITS = Path("models/digits/model.tflite")
THRESHOLD = 200
COUNT = 40


@pytest.fixture(scope="module")
def squeezed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    squeezing = Squeezing((parse_filter("median"), parse_filter("bit-depth:2")), THRESHOLD)
    path = tmp_path_factory.mktemp("squeezed") / "squeezed.tflite"
    path.write_bytes(with_squeezing(DIGITS.read_bytes(), squeezing))
    return path


@pytest.fixture(scope="module")
def samples() -> tuple[np.ndarray, np.ndarray]:
    codes, labels = read_codes(DIGITS, read_graph(DIGITS), "digits:test", COUNT)
    assert labels is not None
    return codes, labels


def attacked(target: Target, samples: tuple[np.ndarray, np.ndarray], setting: str = "white-box"):
    attack = find_attack("pgd")(eps=48 / 255, steps=20) if setting == "white-box" else None
    attack = attack or find_attack("square")(eps=80 / 255, queries=150)
    return attack_samples(target, attack, setting, *samples)


def test_marks_belong_to_networks_that_give_them(squeezed: Path) -> None:
    plain, graph = read_graph(DIGITS), read_graph(squeezed)
    assert (len(tensors_of(plain, VERSION)), len(tensors_of(graph, VERSION))) == (0, 2)
    x = np.zeros((3, *graph.tensors[graph.inputs[0]].shape[1:]), np.int8)
    assert decide(plain, Simulator(plain).run(x)).marked is None
    assert decide(graph, Simulator(graph).run(x)).marked.shape == (3,)


def test_a_marked_answer_is_undecided(squeezed: Path, samples: tuple[np.ndarray, np.ndarray]) -> None:
    x, labels = samples
    noisy = np.clip(x + np.random.default_rng(0).integers(-60, 61, x.shape), -128, 127).astype(np.int8)
    graph = read_graph(squeezed)
    outputs = Simulator(graph).run(noisy)
    flags = outputs[1][:, 1] != 0
    assert 0 < flags.sum() < COUNT
    label = outputs[0].argmax(axis=1)
    expected = np.where(flags, UNDECIDED, label)
    found = score(Simulator(graph), noisy, labels, graph=graph)
    np.testing.assert_array_equal(found.decided, expected)
    assert not (found.tied & flags).any()
    assert not found.fooled(labels, None)[flags].any()
    np.testing.assert_array_equal(decide(graph, outputs).label, label)

    for backend in ("simulator", "reference"):
        target = open_target(squeezed, backend=backend)
        shares = target.space.shares(noisy)
        np.testing.assert_array_equal(target.victim().query(shares).decided, expected)
    slope = target.white_box().slope(shares, lambda logits, part: logits[:, 0])
    np.testing.assert_array_equal(slope.decided, expected)


@pytest.mark.parametrize("setting", ["white-box", "black-box"])
def test_only_what_goes_unnoticed_succeeds(
    setting: str, squeezed: Path, samples: tuple[np.ndarray, np.ndarray]
) -> None:
    run = attacked(open_target(squeezed), samples, setting)
    outputs = Simulator(read_graph(squeezed)).run(run.x)
    flags, wrong = outputs[1][:, 1] != 0, outputs[0].argmax(axis=1) != samples[1]
    np.testing.assert_array_equal(run.success, run.correct & wrong & ~flags)
    assert run.success.any()


def test_an_attacker_who_knows_moves_every_version(
    squeezed: Path, samples: tuple[np.ndarray, np.ndarray]
) -> None:
    """His logits are the mean network of the raw input and of each squeezed one."""
    x = samples[0].astype(np.float32)
    parts = [Simulator(read_graph(DIGITS)).logits(torch.from_numpy(x))]
    for squeezer in ("median", "bit-depth:2"):
        filtered = with_filters(DIGITS.read_bytes(), [parse_filter(squeezer)])
        parts.append(Simulator(read_graph(filtered)).logits(torch.from_numpy(x)))
    mean = torch.stack([part.softmax(1) for part in parts]).mean(0)
    aware, ignored = (open_target(squeezed, detector=word).simulator for word in ("aware", "ignored"))
    torch.testing.assert_close(aware.logits(torch.from_numpy(x)).exp(), mean, rtol=1e-5, atol=1e-7)
    assert torch.equal(ignored.logits(torch.from_numpy(x)), parts[0])
    plain = Simulator(read_graph(DIGITS))
    assert plain.against_detector() is plain


def test_what_was_known_is_on_record(squeezed: Path, samples: tuple[np.ndarray, np.ndarray]) -> None:
    runs = {word: attacked(open_target(squeezed, detector=word), samples) for word in ("aware", "ignored")}
    assert runs["aware"].conditions.against_detector
    assert not runs["ignored"].conditions.against_detector
    assert not np.array_equal(runs["aware"].x, runs["ignored"].x)
    assert runs["aware"].success.sum() > runs["ignored"].success.sum()
