# SPDX-License-Identifier: Apache-2.0
"""Input filters in .tflite files: typed, stored, and the first layers of the graph."""

from pathlib import Path

import numpy as np
import pytest

from tests.operators.builder import GraphBuilder
from tinyguard.backends.filtered import behind_filters
from tinyguard.backends.litert import LiteRTBackend
from tinyguard.defenses.input_filters import filters_in, with_filters
from tinyguard.errors import TinyguardError
from tinyguard.simulator.network import Simulator
from tinyguard.tflite import Metadata, read_graph, read_metadata, with_metadata, write_graph
from tinyguard.tflite.record.filters import KINDS, filters_of, parse_filter

DIGITS = Path("models/digits/model.tflite")


def network(inputs: int = 1, dtype: str = "int8") -> bytes:
    b = GraphBuilder()
    codes = [b.input((1, 6, 6, 2), dtype, 0.1, 0) for _ in range(inputs)]
    if inputs == 2:
        return write_graph((b.node("ADD", codes, (1, 6, 6, 2), dtype, 0.2), b.graph())[1])
    return write_graph((b.node("RELU", codes, (1, 6, 6, 2), dtype), b.graph())[1])


@pytest.mark.parametrize(
    ("text", "full"),
    [("median", "median:3"), ("tv:8", "tv:8:20"), ("tv:8:5", "tv:8:5"), ("bit-depth:3", "bit-depth:3")],
)
def test_missing_numbers_have_defaults(text: str, full: str) -> None:
    assert str(parse_filter(text)) == full


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gausian", "did you mean gaussian"),
        ("zzz", "known: bit-depth, mean"),
        ("mean:2:3", "of the form mean:SIZE"),
        ("mean:-1", "of the form mean:SIZE"),
        ("tv:a", "of the form tv:STRENGTH:ITERATIONS"),
    ],
)
def test_refused_as_typed(text: str, words: str) -> None:
    with pytest.raises(TinyguardError, match=words):
        parse_filter(text)


def test_the_chain_is_the_first_layers_in_its_order() -> None:
    chain = [parse_filter("bit-depth:3"), parse_filter("median"), parse_filter("mean:3")]
    hardened = with_filters(network(), chain)
    graph = read_graph(hardened)
    assert [node.operator for node in graph.nodes[:3]] == [KINDS[one.name].operator for one in chain]
    assert [node.index for node in graph.nodes] == list(range(4))
    assert graph.tensors[graph.nodes[1].outputs[0]].name == "filter median:3"
    assert list(filters_in(hardened)) == chain
    again = with_filters(hardened, [])
    assert read_graph(again).nodes[0].operator == "RELU"
    record = read_metadata(hardened)
    assert record is not None
    assert (record.version, record.requires) == (3, ("filters",))
    assert b'{"version":3,"requires":["filters"],"filters":[{' in hardened


def test_files_without_filters_stay_readable_by_the_first_version() -> None:
    assert b'"version":1' in with_metadata(network(), Metadata.of(class_names=("a", "b")))


@pytest.mark.parametrize(
    ("model", "text", "words"),
    [
        (network(inputs=2), "mean", "2 inputs, and they take one"),
        (network(dtype="int16"), "mean", "int16 input, and filters take int8"),
        (network(), "mean:4", "size 4, and it takes 2, 3"),
        (network(), "tv:3", "strength 3, and it takes 1, 2, 4"),
        (network(), "dct:0", "quality 0, and it takes 1 to 100"),
        (network(), "bit-depth:8", "bits 8, and it takes 1 to 7"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(model: bytes, text: str, words: str) -> None:
    with pytest.raises(TinyguardError, match=words) as refused:
        with_filters(model, [parse_filter(text)])
    assert "\n" not in str(refused.value)


def test_plain_litert_runs_a_hardened_file_and_ignores_the_filters() -> None:
    plain = DIGITS.read_bytes()
    hardened = with_filters(plain, [parse_filter("median")])
    x = np.random.default_rng(0).integers(-128, 128, (5, 8, 8, 1)).astype(np.int8)
    np.testing.assert_array_equal(LiteRTBackend(hardened).run(x)[0], LiteRTBackend(plain).run(x)[0])


def test_the_litert_back_end_applies_them() -> None:
    hardened = with_filters(DIGITS.read_bytes(), [parse_filter("bit-depth:2"), parse_filter("median")])
    graph = read_graph(hardened)
    assert len(filters_of(graph).nodes) == 2
    x = np.random.default_rng(1).integers(-128, 128, (5, 8, 8, 1)).astype(np.int8)
    found = behind_filters(LiteRTBackend(hardened), graph).run(x)[0]
    np.testing.assert_array_equal(found, Simulator(graph).run(x)[0])
