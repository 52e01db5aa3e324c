# SPDX-License-Identifier: Apache-2.0
"""Outputs with and without a batch axis: every back end gives (N, *sample_shape), and the same codes."""

from pathlib import Path

import numpy as np
import pytest

from tests.device.host_board import HostBoard, compile_network_board
from tests.operators.builder import GraphBuilder
from tinyguard.backends import Backend
from tinyguard.backends.compiled import CompiledBackend
from tinyguard.backends.device import DeviceBackend
from tinyguard.backends.litert import LiteRTBackend
from tinyguard.backends.reference import ReferenceBackend
from tinyguard.backends.xnnpack import DefaultInterpreter
from tinyguard.data import shared_folder
from tinyguard.evaluation.evaluate import evaluate_device
from tinyguard.evaluation.resume import RunRecord
from tinyguard.graph import Graph
from tinyguard.simulator.network import Simulator
from tinyguard.tflite import read_graph, write_graph

SHARED = shared_folder()
SHAPES = [(2,), (1,), (), (5, 2), (2, 3, 4), (1, 2, 3)]
SAMPLES = 5


def one_output_of_each_shape() -> Graph:
    """A slice of the input for each of SHAPES, reshaped to it."""
    builder = GraphBuilder()
    source = builder.input((1, 24), scale=0.1, zero_point=3)
    outputs = []
    for shape in SHAPES:
        size = int(np.prod(shape, dtype=int))
        begin, extent = builder.constant(np.array([0, 24 - size])), builder.constant(np.array([1, size]))
        cut = builder.node("SLICE", [source, begin, extent], (1, size))
        outputs.append(builder.node("RESHAPE", [cut, builder.constant(np.array(shape, np.int32))], shape))
    return read_graph(write_graph(builder.graph(outputs)))


@pytest.fixture(scope="module")
def graph() -> Graph:
    return one_output_of_each_shape()


@pytest.fixture(scope="module")
def codes() -> np.ndarray:
    return np.random.default_rng(4).integers(-128, 128, (SAMPLES, 24)).astype(np.int8)


def check(backend: Backend, codes: np.ndarray) -> None:
    """Against what a slice and a reshape are."""
    outputs = backend.run(codes)
    for shape, output in zip(SHAPES, outputs, strict=True):
        size = int(np.prod(shape, dtype=int))
        sample = shape[1:] if shape[:1] == (1,) else shape
        np.testing.assert_array_equal(output, codes[:, 24 - size :].reshape(SAMPLES, *sample))
        assert output.dtype == np.int8


@pytest.mark.parametrize("open_backend", [ReferenceBackend, Simulator, CompiledBackend])
def test_back_ends_of_a_graph(open_backend: type, graph: Graph, codes: np.ndarray) -> None:
    check(open_backend(graph), codes)


def test_interpreters(graph: Graph, codes: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "network.tflite"
    path.write_bytes(write_graph(graph))
    check(LiteRTBackend(path), codes)
    check(DefaultInterpreter(path), codes)


def test_a_board(graph: Graph, codes: np.ndarray, tmp_path: Path) -> None:
    with HostBoard(compile_network_board(graph, tmp_path)) as board:
        backend = DeviceBackend(board.port, graph)
        try:
            check(backend, codes)
            layers = list(backend.device.run_layers(codes[0]))
            assert [layer.outputs[0].size for layer in layers[1::2]] == [2, 1, 1, 10, 24, 6]
            record = RunRecord(tmp_path, "run")
            found = evaluate_device(
                graph, backend.device, ReferenceBackend(graph), codes, None, record, lambda done: None
            )
        finally:
            backend.close()
    assert found.agreement.differing_bytes == 0
    assert RunRecord(tmp_path, "run").load() == SAMPLES


@pytest.mark.skipif(SHARED is None, reason="needs the cases in TINYGUARD_SHARED")
def test_a_converter_s_file_on_a_board(tmp_path: Path) -> None:
    assert SHARED is not None
    path = SHARED / "cases" / "e_output_5x2.tflite"
    graph = read_graph(path)
    tensor = graph.tensors[graph.inputs[0]]
    codes = np.random.default_rng(4).integers(-128, 128, (SAMPLES, *tensor.shape[1:])).astype(np.int8)
    (wanted,) = LiteRTBackend(path).run(codes)
    assert wanted.shape == (SAMPLES, 5, 2)
    with HostBoard(compile_network_board(graph, tmp_path)) as board:
        backend = DeviceBackend(board.port, graph)
        try:
            (found,) = backend.run(codes)
        finally:
            backend.close()
    np.testing.assert_array_equal(found, wanted)
