# SPDX-License-Identifier: Apache-2.0
"""Sections of the record: what a file requires, what is kept, what outputs are called and mean."""

import json
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.operators.builder import GraphBuilder
from tinyguard.defenses.feature_squeezing import with_squeezing
from tinyguard.defenses.monte_carlo_dropout import with_stochastic
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph
from tinyguard.tflite import Metadata, Normalization, read_graph, read_metadata, with_metadata, write_graph
from tinyguard.tflite.metadata import format_metadata, parse_metadata
from tinyguard.tflite.record import in_order, insert_sections, registry
from tinyguard.tflite.record.filters import parse_filter
from tinyguard.tflite.record.squeezing import Squeezing
from tinyguard.tflite.record.stochastic import Stochastic, site_layers

DIGITS = Path("models/digits/model.tflite").read_bytes()
MEDIAN = parse_filter("median")
SQUEEZING = Squeezing((MEDIAN,), 40)
SITE = read_graph(DIGITS).node_name(site_layers(read_graph(DIGITS))[-1])
STOCHASTIC = Stochastic((SITE,), 26, 3, 7, 512)
FILTER = {"name": "median", "size": 3}
NAMES = ("filters", "later", "class_names", "version", "requires")


def two_outputs() -> bytes:
    b = GraphBuilder()
    x = b.input((1, 4), "int8", 0.1, 0)
    first, second = b.node("RELU", [x], (1, 4)), b.node("LOGISTIC", [x], (1, 4), "int8", 1 / 256, -128)
    return write_graph(b.graph([first, second]))


def record_of(**sections: Any) -> bytes:
    return json.dumps(sections).encode()


def test_the_sections_stand_in_the_order_of_their_layers() -> None:
    assert {"class_names", "filters", "normalization", "outputs", "squeezing", "stochastic"} <= set(
        registry()
    )
    names = [section.name for section in in_order(["stochastic", "filters", "outputs", "normalization"])]
    assert names == ["outputs", "normalization", "filters", "stochastic"]


def test_a_plain_record_keeps_its_bytes() -> None:
    plain = Metadata.of(normalization=Normalization((0.0,), (255.0,)), class_names=("a", "b"), filters=None)
    assert format_metadata(plain) == (
        b'{"version":1,"normalization":{"mean":[0.0],"std":[255.0]},"class_names":["a","b"]}'
    )
    record = read_graph(DIGITS).metadata["tinyguard"]
    assert format_metadata(parse_metadata(record)) == record


def test_what_changes_the_computation_is_required() -> None:
    one = Metadata.of(stochastic=STOCHASTIC, class_names=("a",), filters=(MEDIAN,))
    record = json.loads(format_metadata(one))
    assert list(record) == ["version", "requires", "class_names", "filters", "stochastic"]
    assert (record["version"], record["requires"]) == (3, ["filters", "stochastic"])
    assert parse_metadata(format_metadata(one)) == one
    bare = one.with_section("stochastic", None).with_section("filters", None)
    assert (bare.version, bare.requires, bare) == (1, (), Metadata.of(class_names=("a",)))


def test_a_section_that_is_mistyped_is_refused() -> None:
    with pytest.raises(TinyguardError, match="no section named 'filter'; did you mean filters"):
        Metadata().with_section("filter", ())


@pytest.mark.parametrize("version", [1, 2])
def test_earlier_records_require_what_is_there(version: int) -> None:
    found = parse_metadata(record_of(version=version, filters=[FILTER], later=[1]))
    assert (found.filters, found.requires, found.extra) == ((MEDIAN,), ("filters",), {"later": [1]})
    assert json.loads(format_metadata(found))["version"] == 3
    assert parse_metadata(record_of(version=version, filters=[])) == Metadata()


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({}, "requires is not a list of different names"),
        ({"requires": "filters"}, "requires is not a list"),
        ({"requires": {"filters": 1}}, "requires is not a list"),
        ({"requires": [1]}, "requires is not a list"),
        ({"requires": ["filters", "filters"], "filters": [FILTER]}, "different names"),
        ({"requires": [["filters"]], "filters": [FILTER]}, "requires is not a list"),
        (
            {"requires": ["later"], "later": [1]},
            "needs the section 'later', which this tinyguard does not know",
        ),
        ({"requires": ["later"]}, "needs the section 'later', which is not there"),
        ({"requires": ["filters"]}, "needs the section 'filters', which is not there"),
        ({"requires": ["version"]}, "needs the section 'version', which is not there"),
        ({"requires": []} | {"filters": [FILTER]}, "has the section 'filters' and does not require it"),
        ({"requires": ["class_names"], "class_names": ["a"]}, "which changes no result"),
        ({"requires": ["x" * 5000], "x" * 5000: 1}, "does not know"),
        ({"requires": ["a\nb"], "a\nb": 1}, "does not know"),
    ],
)
def test_what_it_requires_must_be_there_and_known(sections: dict[str, Any], words: str) -> None:
    content = record_of(version=3, **sections)
    with pytest.raises(TinyguardError, match=words) as refused:
        parse_metadata(content)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300


def test_a_file_whose_section_is_unknown_is_refused_only_where_it_is_required() -> None:
    kept = Metadata.of(filters=(MEDIAN,), class_names=("a",))
    content = format_metadata(Metadata(kept.sections, MappingProxyType({"later": {"at": [3]}})))
    assert json.loads(format_metadata(parse_metadata(content)))["later"] == {"at": [3]}
    required = content.replace(b'"requires":["filters"]', b'"requires":["filters","later"]')
    with pytest.raises(TinyguardError, match=r"needs the section 'later'.*update tinyguard"):
        parse_metadata(required)


def read_or_refused(content: bytes) -> Metadata | None:
    """None where it is refused, which must be in one line."""
    try:
        return parse_metadata(content)
    except TinyguardError as refused:
        line = str(refused)
    assert "\n" not in line
    return None


def read_again(metadata: Metadata) -> Metadata | None:
    """The record after it was written; None where it holds what JSON cannot."""
    try:
        content = format_metadata(metadata)
    except TinyguardError as refused:
        line = str(refused)
    else:
        return parse_metadata(content)
    assert "holds what JSON cannot" in line
    return None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.sampled_from(NAMES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.integers(1, 3),
    JSON | st.lists(st.sampled_from((*NAMES, "outputs", "stochastic", "toy")), max_size=3),
    st.dictionaries(st.sampled_from([*registry(), "later", "toy"]), JSON, max_size=4),
)
def test_hostile_records_are_read_or_refused_in_one_line(
    version: int, requires: Any, sections: dict[str, Any]
) -> None:
    found = read_or_refused(record_of(version=version, requires=requires, **sections))
    if found is not None:
        assert set(found.requires) <= set(requires) <= {*sections}
        assert read_again(found) in (found, None)  # None: not a number, infinity


@pytest.mark.parametrize("depth", [100, 900, 990, 100_000])
def test_deep_nesting_is_read_or_refused(depth: int) -> None:
    nested = b"[" * depth + b"]" * depth
    for content in (
        b'{"version": 3, "requires": %b}' % nested,
        b'{"version": 3, "requires": [], "later": %b}' % nested,
        b'{"version": 3, "requires": ["filters"], "filters": %b}' % nested,
    ):
        found = read_or_refused(content)
        if found is not None:
            read_again(found)


def test_the_roles_of_outputs_are_stated() -> None:
    said = ("scores", None)
    data = with_metadata(two_outputs(), Metadata.of(outputs=said))
    record = read_graph(data).metadata["tinyguard"]
    assert record == b'{"version":1,"outputs":[{"role":"scores"},{}]}'
    metadata = read_metadata(data)
    assert metadata is not None
    assert (metadata.outputs, metadata.requires) == (said, ())
    graph = read_graph(data)
    assert dict(graph.roles) == {graph.outputs[0]: "scores"}


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ([{}], "describes 1 outputs, and the file has 2"),
        ({}, "not a list of one object per output"),
        ([[], {}], "not a list of one object per output"),
        ([{"role": 1}, {}], "no printable text"),
        ([{"role": ""}, {}], "no printable text"),
        ([{"role": "a\nb"}, {}], "no printable text"),
        ([{"unit": "kg"}, {}], "says more than a role; update tinyguard"),
    ],
)
def test_outputs_that_say_something_else_are_refused(outputs: Any, words: str) -> None:
    graph = read_graph(two_outputs())
    with pytest.raises(TinyguardError, match=words) as refused:
        insert_sections(graph, parse_metadata(record_of(version=1, outputs=outputs)).sections)
    assert "\n" not in str(refused.value)


def stated(graph: Graph) -> list[str | None]:
    return [graph.roles.get(index) for index in graph.outputs]


def test_what_is_said_of_outputs_goes_through_the_layers_of_other_sections() -> None:
    said = with_metadata(DIGITS, Metadata.of(outputs=("scores",), filters=(MEDIAN,)))
    assert stated(read_graph(said)) == ["scores"]
    assert stated(read_graph(with_squeezing(said, SQUEEZING))) == ["scores", "mark"]
    assert stated(read_graph(with_stochastic(said, STOCHASTIC))) == ["scores", "uncertainty"]


def test_two_sections_in_the_place_of_the_network_are_refused() -> None:
    both = Metadata.of(stochastic=STOCHASTIC, squeezing=SQUEEZING)
    with pytest.raises(
        TinyguardError,
        match=r"^stochastic passes and feature squeezing in one file: take one away with --remove$",
    ):
        read_graph(with_metadata(DIGITS, both))
