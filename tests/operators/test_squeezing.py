# SPDX-License-Identifier: Apache-2.0
"""Feature squeezing: distances, thresholds, and the same bytes on every way of running."""

from pathlib import Path

import numpy as np
import pytest

from tests.kernels.agreement import needs_emulator
from tests.operators.test_stochastic import (
    assert_batch_agrees,
    assert_every_way_agrees,
    classifier,
    samples,
)
from tinyguard import passes
from tinyguard.backends.filtered import behind_filters
from tinyguard.backends.litert import LiteRTBackend
from tinyguard.boards import load
from tinyguard.codegen.batch import Batch
from tinyguard.defenses.feature_squeezing import LARGEST, distances, threshold_for, with_squeezing
from tinyguard.defenses.input_filters import with_filters
from tinyguard.defenses.monte_carlo_dropout import find_sites, with_stochastic
from tinyguard.errors import TinyguardError
from tinyguard.evaluation.flags import flags_of
from tinyguard.graph import Graph
from tinyguard.simulator.network import Simulator
from tinyguard.tflite import read_graph, read_metadata
from tinyguard.tflite.record.filters import parse_filter
from tinyguard.tflite.record.squeezing import Squeezing, insert_squeezing, squeezing_from_json
from tinyguard.tflite.record.stochastic import Stochastic

DIGITS = Path("models/digits/model.tflite").read_bytes()
SQUEEZERS = ("bit-depth:2", "median:3", "mean:2", "gaussian:5", "tv:4:3", "dct:20")


def drawn(seed: int) -> Graph:
    """A random classifier with random squeezers and threshold."""
    rng = np.random.default_rng([8, seed])
    chosen = rng.permutation(SQUEEZERS)[: int(rng.integers(1, 4))]
    one = Squeezing(tuple(parse_filter(str(text)) for text in chosen), int(rng.integers(-1, 100)))
    return insert_squeezing(classifier(seed), one)


def test_the_distance_is_that_of_two_networks() -> None:
    x = samples(read_graph(DIGITS), 60)
    squeezers = [parse_filter("median"), parse_filter("bit-depth:1")]
    raw = Simulator(read_graph(DIGITS)).run(x)[0].astype(int)
    gaps = [
        np.abs(Simulator(read_graph(with_filters(DIGITS, [one]))).run(x)[0] - raw).sum(1) for one in squeezers
    ]
    hardened = with_squeezing(DIGITS, Squeezing(tuple(squeezers), 100))
    answer, detection = Simulator(read_graph(hardened)).run(x)
    np.testing.assert_array_equal(answer, raw)
    np.testing.assert_array_equal(detection[:, 0], np.maximum(*gaps))
    np.testing.assert_array_equal(detection[:, 1], np.maximum(*gaps) > 100)


def test_filters_stay_in_front_of_all_copies() -> None:
    filtered = with_filters(DIGITS, [parse_filter("mean")])
    graph = read_graph(with_squeezing(filtered, Squeezing((parse_filter("median"),))))
    x = samples(graph, 20)
    both = read_graph(with_filters(DIGITS, [parse_filter("mean"), parse_filter("median")]))
    raw, squeezed = Simulator(read_graph(filtered)).run(x)[0], Simulator(both).run(x)[0]
    wanted = np.abs(raw.astype(int) - squeezed).sum(1)
    np.testing.assert_array_equal(Simulator(graph).run(x)[1][:, 0], wanted)


@pytest.mark.parametrize("seed", range(5))
def test_simulator_numpy_and_c_agree(seed: int) -> None:
    assert_every_way_agrees(drawn(seed))


@pytest.mark.parametrize(
    "board", [pytest.param(b, marks=needs_emulator) for b in ("mps2-an385", "mps2-an500")]
)
def test_on_the_core(board: str, tmp_path: Path) -> None:
    graphs = [passes.optimize(drawn(seed)) for seed in range(5)]
    batch = Batch(graphs, tmp_path / "project", load(board))
    assert_batch_agrees(batch, graphs)


def test_the_threshold_is_the_nearest_attainable_quantile() -> None:
    clean = np.repeat([0, 10, 20, 30], [500, 440, 40, 20])
    found = threshold_for(clean, 0.05)  # 6 % lie above 10 and 2 % above 20
    assert (found.value, found.attained) == (19, pytest.approx(0.06))
    assert threshold_for(clean, 0.03).attained == pytest.approx(0.02)
    assert threshold_for(np.zeros(10, np.int64), 0.05) == threshold_for(np.zeros(10, np.int64), 0.1)
    assert threshold_for(np.zeros(10, np.int64), 0.05).value == LARGEST


@pytest.mark.parametrize("rate", [0.0, 1.0, -1.0])
def test_rates_that_are_none_are_refused(rate: float) -> None:
    with pytest.raises(TinyguardError, match=r"--fpr 0\.05"):
        threshold_for(np.arange(10), rate)


def test_the_rate_holds_on_other_samples() -> None:
    """Half of the digits set it; the share flagged of the other half is within 3 standard deviations."""
    from tinyguard.data.network_codes import read_codes

    codes, _ = read_codes(Path("models/digits/model.tflite"), read_graph(DIGITS), "digits:train", None)
    one = Squeezing((parse_filter("bit-depth:1"),))
    found = distances(DIGITS, one, codes)
    threshold = threshold_for(found[::2], 0.05)
    rate = float((found[1::2] > threshold.value).mean())
    deviation = np.sqrt(threshold.attained * (1 - threshold.attained) / len(found[1::2]))
    assert abs(rate - threshold.attained) <= 3 * deviation * np.sqrt(2)  # both halves are samples


def test_flags_are_counted_and_the_rest_is_more_often_right() -> None:
    from tinyguard.data.network_codes import read_codes

    sites = find_sites(read_graph(DIGITS), ["auto"])
    graph = read_graph(with_stochastic(DIGITS, Stochastic(sites, 51, 10, 1, 512)))
    codes, labels = read_codes(Path("models/digits/model.tflite"), graph, "digits:test", None)
    noisy = np.clip(codes + np.random.default_rng(2).normal(0, 60, codes.shape), -128, 127).astype(np.int8)
    assert labels is not None
    outputs = Simulator(graph).run(noisy)
    flags = flags_of(graph, outputs, labels)
    assert flags is not None
    assert 0.02 < flags.share < 0.98
    assert flags.accuracy_of_kept is not None
    assert flags.accuracy_of_kept > float((outputs[0].argmax(1) == labels).mean())
    assert flags_of(read_graph(DIGITS), outputs[:1], labels) is None


def test_a_hardened_file_runs_in_plain_litert_but_not_as_if_it_were_the_network() -> None:
    hardened = with_squeezing(DIGITS, Squeezing((parse_filter("median"),)))
    x = samples(read_graph(DIGITS), 4)
    np.testing.assert_array_equal(LiteRTBackend(hardened).run(x)[0], LiteRTBackend(DIGITS).run(x)[0])
    with pytest.raises(TinyguardError, match="knows nothing of feature squeezing: type --backend"):
        behind_filters(LiteRTBackend(hardened), read_graph(hardened))


def test_the_metadata_comes_back_and_nothing_else_does() -> None:
    one = Squeezing((parse_filter("median"), parse_filter("tv:8:3")), 77)
    record = read_metadata(with_squeezing(DIGITS, one))
    assert record is not None
    assert record.squeezing == one
    for section in (
        {},
        {"squeezers": [], "threshold": 1},
        {"squeezers": [{"name": "median", "size": 3}], "threshold": 1.5},
        {"squeezers": [{"name": "median", "size": 3}], "threshold": 1, "more": 2},
    ):
        with pytest.raises(TinyguardError, match="squeezing"):
            squeezing_from_json(section)


def test_passes_and_squeezing_in_one_file_are_refused() -> None:
    sites = find_sites(read_graph(DIGITS), ["auto"])
    stochastic = with_stochastic(DIGITS, Stochastic(sites, 26, 3))
    with pytest.raises(TinyguardError, match="in one file"):
        with_squeezing(stochastic, Squeezing((parse_filter("median"),)))
