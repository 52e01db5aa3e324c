# SPDX-License-Identifier: Apache-2.0
"""The section `exits` of the record: what is refused, and that no damage to it does harm."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from tests.exits.networks import exits_file, plain_file, three_exits
from tests.operators.builder import GraphBuilder
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph
from tinyguard.graph.exit_policy import policy_of
from tinyguard.graph.multi_exit import stages_of
from tinyguard.tflite import read_graph, read_metadata
from tinyguard.tflite.flatbuffer import decode
from tinyguard.tflite.metadata import RECORD_NAME, format_metadata, parse_metadata
from tinyguard.tflite.record import insert_sections
from tinyguard.tflite.record.exits import exits_from_json, insert_gates

GOOD = {"outputs": [2, 1, 0], "policy": "margin", "thresholds": [20, 12], "answer": "taken"}
MUTATIONS = 2_000


def _inserted(graph: Graph, **changed: Any) -> Graph:
    return insert_gates(graph, exits_from_json({**GOOD, **changed}))


def _refused(graph: Graph, **changed: Any) -> str:
    with pytest.raises(TinyguardError) as error:
        _inserted(graph, **changed)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_file_with_exits_requires_the_section() -> None:
    metadata = read_metadata(exits_file())
    assert metadata is not None
    record = json.loads(format_metadata(metadata))
    assert record["requires"] == ["exits"]
    assert record["version"] == 3
    assert read_graph(exits_file()).outputs != read_graph(plain_file(order=(0,))).outputs


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"outputs": [0, 1, 1]}, "names one output twice"),
        ({"outputs": [2, 1, 3]}, "exit at output 3, which is not there"),
        ({"outputs": [2]}, "takes 2 to 16 outputs, got 1"),
        ({"outputs": [2, 1], "thresholds": [20]}, "output 0 is no exit"),
        ({"outputs": [0, 1, 2]}, "does not go on from exit 1"),
        ({"outputs": "all"}, "no list of whole numbers"),
        ({"policy": "luck"}, "no exit policy 'luck'|no exit policy named 'luck'|'luck'"),
        ({"policy": 3}, "no policy by name"),
        ({"answer": "all"}, "an answer other than taken, mean"),
        ({"thresholds": [20]}, "takes 2 thresholds and got 1"),
        ({"thresholds": [20, 12, 3]}, "takes 2 thresholds and got 3"),
        ({"thresholds": [20, 257]}, "takes thresholds from 0 to 256 and got 257"),
        ({"thresholds": [20.5, 1]}, "no list of whole numbers"),
        ({"policy": "entropy", "thresholds": [-2, 0]}, "takes thresholds from -1 to 3401 and got -2"),
        ({"policy": "patience", "thresholds": [4]}, "takes thresholds from 1 to 3 and got 4"),
        ({"policy": "never"}, "takes 0 thresholds and got 2"),
        ({"later": 1}, "nothing else; set the policy again with tinyguard exits, or update tinyguard"),
    ],
)
def test_what_a_record_cannot_say_is_refused(changed: dict[str, Any], line: str) -> None:
    import re

    assert re.search(line, _refused(three_exits(), **changed)), _refused(three_exits(), **changed)


def test_outputs_that_are_no_exits_are_refused() -> None:
    def two(first: tuple[str, int], second: tuple[str, int], dtype: str = "int8") -> Graph:
        b = GraphBuilder()
        x = b.input((1, 12), dtype, 0.1, 0)
        outputs = []
        for operator, size in (first, second):
            part = b.node("SLICE", [x, b.constant([0, 0]), b.constant([1, size])], (1, size), dtype)
            scale = 1 / 256 if dtype == "int8" else 1 / 32768
            ends = {"SOFTMAX": (scale, -128 if dtype == "int8" else 0), "RELU": (0.1, 0)}[operator]
            options = {"beta": 1.0} if operator == "SOFTMAX" else {}
            outputs.append(b.node(operator, [part], (1, size), dtype, *ends, **options))
        return b.graph(outputs)

    asked = {"outputs": [0, 1], "thresholds": [20]}
    assert "is no int8 softmax" in _refused(two(("RELU", 4), ("SOFTMAX", 4)), **asked)
    assert "one number of classes, and these have 4, 5" in _refused(
        two(("SOFTMAX", 4), ("SOFTMAX", 5)), **asked
    )
    assert "is int16: exits take an int8" in _refused(two(("SOFTMAX", 4), ("SOFTMAX", 4), "int16"), **asked)
    assert "does not go on from exit 1" in _refused(two(("SOFTMAX", 4), ("SOFTMAX", 4)), **asked)


def _record() -> bytes:
    model = decode(exits_file())
    place = next(entry["buffer"] for entry in model["metadata"] if entry["name"] == RECORD_NAME)
    content: bytes = model["buffers"][place]["data"]
    return content


def _mutated(draws: random.Random, content: bytes) -> bytes:
    """Bytes changed, taken out or doubled, or a value of the section put to something else."""
    if draws.random() < 0.5:
        record = json.loads(content)
        section = record["exits"]
        name = draws.choice([*section, "outputs", "thresholds"])
        odd = [None, -1, 0, 2**40, "x", [], [0], [0, 0, 0], [1e9], {}, [256, -1], True, [[0]], 3.5]
        if draws.random() < 0.3:
            del section[name]
        else:
            section[name] = draws.choice(odd)
        return json.dumps(record).encode()
    changed = bytearray(content)
    for _ in range(draws.randint(1, 4)):
        at = draws.randrange(len(changed))
        changed[at : at + draws.randint(0, 3)] = draws.randbytes(draws.randint(0, 3))
    return bytes(changed)


def test_no_damage_to_a_record_does_harm() -> None:
    """A damaged record is refused in one line, or says another policy that the network can have."""
    draws, content, plain = random.Random(5), _record(), three_exits()
    read = lines = 0
    for _ in range(MUTATIONS):
        try:
            graph = insert_sections(plain, parse_metadata(_mutated(draws, content)).sections)
        except TinyguardError as error:
            lines += str(error).count("\n")
            continue
        read += 1
        policy = policy_of(graph)
        assert (policy is None) == (not stages_of(graph))
        if policy is not None:
            policy.check(3, 10)
    assert 0 < read < MUTATIONS / 2
    assert lines == 0
