# SPDX-License-Identifier: Apache-2.0
"""Values of settings: what a network takes, and how people and boards write them."""

from dataclasses import replace

import numpy as np
import pytest

from tests.device.host_board import SETTINGS
from tests.operators.builder import GraphBuilder
from tinyguard.errors import TinyguardError
from tinyguard.evaluation.in_force import InForce
from tinyguard.graph import Setting
from tinyguard.graph.lengths import clear_unused
from tinyguard.graph.settings import checked, from_words, parse_value, to_words


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("seed=9", "seed", (9,)),
        ("seed=0xFF", "seed", (255,)),
        ("weights=1, -2,3", "weights", (1, -2, 3)),
        ("enabled=true", "enabled", (1,)),
        ("enabled=False", "enabled", (0,)),
    ],
)
def test_what_people_type(text: str, name: str, value: tuple[int, ...]) -> None:
    assert parse_value(text) == (name, value)


@pytest.mark.parametrize("text", ["seed", "seed=", "=3", "seed=a", "seed=1.5", "weights=1,,2"])
def test_what_sets_nothing_is_refused(text: str) -> None:
    with pytest.raises(TinyguardError, match="sets nothing; type NAME=VALUE"):
        parse_value(text)


def test_values_are_checked_by_name_count_and_range() -> None:
    assert checked(SETTINGS, {"level": -5, "seed": np.uint64(7)}) == {"level": (-5,), "seed": (7,)}
    for values, words in (
        (
            {"volume": 1},
            "no setting named 'volume'; known: seed, enabled, level, budget, thresholds, weights",
        ),
        ({"level": -6}, "level takes -5 to 1000 and got -6"),
        ({"thresholds": (1, 2)}, "takes 3 values and got 2"),
    ):
        with pytest.raises(TinyguardError, match=words):
            checked(SETTINGS, values)
    with pytest.raises(TinyguardError, match="the network has none"):
        checked((), {"seed": 1})


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_words_are_the_value(setting: Setting) -> None:
    for entries in (setting.value, *zip(*setting.ranges, strict=True)):
        assert from_words(setting.kind, to_words(setting.kind, entries)) == entries


def test_a_setting_that_is_drawn_takes_every_value() -> None:
    with pytest.raises(TinyguardError, match="is drawn, and only uint64 of the whole range can be"):
        Setting("seed", "uint64", (1,), ((0, 10),), drawn=True)


def test_what_differs_from_the_file_is_said() -> None:
    assert str(InForce((7,), (7,))) == "7 (the file's)"
    assert str(InForce((1, 2), (3, 4))) == "1,2 (file: 3,4)"


def test_bytes_beyond_the_used_ones_read_as_zeros() -> None:
    builder = GraphBuilder()
    source = builder.input((1, 4), "int16", 0.1, 0)
    y = builder.node("RELU", [source], (1, 4), "int16", 0.1, 0)
    count = builder.node("RELU", [source], (1,), "int32")
    graph = replace(builder.graph([y, count]), lengths={y: count})
    values = np.full((4, 4), 0x0101, np.int16)
    counts = np.array([[0], [3], [9], [-1]], np.int32)
    found, _ = clear_unused(graph, [values, counts])
    assert found.tolist() == [[0] * 4, [0x0101, 1, 0, 0], [0x0101] * 4, [0x0101] * 4]
