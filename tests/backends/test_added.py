# SPDX-License-Identifier: Apache-2.0
"""What a file's record adds after its own layers: LiteRT runs the file, and NumPy the gates of exits."""

from pathlib import Path

import numpy as np
import pytest

from tests.exits.networks import POLICIES, codes, exits_file
from tinyguard.backends.choose import open_backend
from tinyguard.backends.filtered import behind_filters
from tinyguard.backends.litert import LiteRTBackend
from tinyguard.backends.reference import ReferenceBackend
from tinyguard.backends.xnnpack import DefaultInterpreter
from tinyguard.defenses.input_filters import with_filters
from tinyguard.errors import TinyguardError
from tinyguard.evaluation.traces import trace_host
from tinyguard.graph import with_settings
from tinyguard.graph.multi_exit import exit_tensors
from tinyguard.tflite import read_graph
from tinyguard.tflite.record.filters import parse_filter

X = codes(60)


def _assert_equal(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    for policy in POLICIES:
        graph = with_settings(read_graph(path), policy.values())
        expected = ReferenceBackend(graph).run(X)
        backend = open_backend("litert", path, graph)
        assert backend.name.startswith("litert")
        for ours, theirs in zip(backend.run(X), expected, strict=True):
            assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("answer", ["taken", "mean"])
def test_litert_and_the_gates_answer_as_the_reference_under_every_policy(answer: str, tmp_path: Path) -> None:
    _assert_equal(tmp_path / "exits.tflite", exits_file(answer=answer))


def test_behind_input_filters_too(tmp_path: Path) -> None:
    filters = [parse_filter("bit-depth:3"), parse_filter("median")]
    _assert_equal(tmp_path / "exits.tflite", with_filters(exits_file(), filters))


def test_the_file_s_own_outputs_are_the_exits_raw() -> None:
    content = exits_file()
    raw = LiteRTBackend(content).run(X[:5])
    tensors = exit_tensors(read_graph(content))
    inside = LiteRTBackend(content, preserve_all_tensors=True).read([t.index for t in tensors], X[:5])
    for tensor, output in zip(tensors, (raw[2], raw[1], raw[0]), strict=True):
        np.testing.assert_array_equal(inside[tensor.index].reshape(output.shape), output)


def test_a_run_time_that_shows_nothing_inside_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "exits.tflite"
    path.write_bytes(exits_file())
    with pytest.raises(TinyguardError, match="knows nothing of exits: type --backend simulator") as caught:
        behind_filters(DefaultInterpreter(path), read_graph(path))
    assert "\n" not in str(caught.value)


def test_a_trace_has_the_added_layers_too(tmp_path: Path) -> None:
    path = tmp_path / "exits.tflite"
    path.write_bytes(exits_file())
    graph, x = read_graph(path), codes(1)
    found = trace_host("litert", path, graph, (x,))
    expected = trace_host("reference", path, graph, (x,))
    gates = {index for node in graph.nodes if node.operator == "EXIT_GATE" for index in node.outputs}
    assert gates <= set(found)
    for index, tensor in found.items():
        np.testing.assert_array_equal(tensor, expected[index])
