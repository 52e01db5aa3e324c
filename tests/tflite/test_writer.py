# SPDX-License-Identifier: Apache-2.0
"""Files of one operator, written by us, run on TensorFlow's reference kernels and on TFLM alike."""

import numpy as np
import pytest

from tests.operators.builder import GraphBuilder, draw_samples
from tests.operators.oracles import tensorflow_reference, tflite_micro
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph
from tinyguard.tflite import read_graph, write_graph
from tinyguard.tflite.flatbuffer import decode

DTYPES = {"int8": "int8", "int16x8": "int16"}
BIAS = {"int8": np.int32, "int16x8": np.int64}


def _scale(scheme: str, scale: float) -> float:
    return float(np.float32(scale if scheme == "int8" else scale / 256))


def convolution(scheme: str) -> Graph:
    rng, dtype, b = np.random.default_rng(1), DTYPES[scheme], GraphBuilder()
    point = 5 if scheme == "int8" else 0
    x = b.input((1, 7, 6, 3), dtype, _scale(scheme, 0.1), point)
    scales = np.linspace(0.01, 0.02, 4).astype(np.float32)
    weights = b.constant(rng.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8), scales, 0)
    bias = rng.integers(-500, 500, 4).astype(BIAS[scheme])
    bias_index = b.constant(bias, scales * _scale(scheme, 0.1))
    options = {"padding": "SAME", "stride_w": 2, "stride_h": 1, "fused_activation_function": "RELU"}
    b.node("CONV_2D", (x, weights, bias_index), (1, 7, 3, 4), dtype, _scale(scheme, 0.3), -point, **options)
    return b.graph()


def addition(scheme: str) -> Graph:
    dtype, b = DTYPES[scheme], GraphBuilder()
    points = (3, -7, 11) if scheme == "int8" else (0, 0, 0)
    x = b.input((1, 4, 5), dtype, _scale(scheme, 0.1), points[0])
    y = b.input((1, 4, 5), dtype, _scale(scheme, 0.03), points[1])
    options = {"fused_activation_function": "NONE", "pot_scale_int16": False}
    b.node("ADD", (x, y), (1, 4, 5), dtype, _scale(scheme, 0.12), points[2], **options)
    return b.graph()


def fully_connected(scheme: str) -> Graph:
    rng, dtype, b = np.random.default_rng(2), DTYPES[scheme], GraphBuilder()
    x = b.input((1, 12), dtype, _scale(scheme, 0.05), 0)
    weights = b.constant(rng.integers(-127, 128, (7, 12)).astype(np.int8), 0.02, 0)
    bias = rng.integers(-500, 500, 7).astype(BIAS[scheme])
    inputs = (x, weights, b.constant(bias, np.float32(0.02) * np.float32(_scale(scheme, 0.05))))
    options = {"fused_activation_function": "NONE", "weights_format": "DEFAULT", "keep_num_dims": False}
    b.node("FULLY_CONNECTED", inputs, (1, 7), dtype, _scale(scheme, 0.2), 0, **options)
    return b.graph()


def softmax(scheme: str) -> Graph:
    dtype, b = DTYPES[scheme], GraphBuilder()
    x = b.input((1, 10), dtype, _scale(scheme, 0.1), 4 if scheme == "int8" else 0)
    scale, point = (1 / 256, -128) if scheme == "int8" else (1 / 32768, 0)
    b.node("SOFTMAX", (x,), (1, 10), dtype, scale, point, beta=1.0)
    return b.graph()


@pytest.mark.parametrize("scheme", ["int8", "int16x8"])
@pytest.mark.parametrize("build", [convolution, addition, fully_connected, softmax])
def test_runs_alike_on_tensorflow_and_tflm(build, scheme: str) -> None:
    pytest.importorskip("tensorflow")
    pytest.importorskip("tflite_micro")
    graph = build(scheme)
    model = write_graph(graph)
    samples = draw_samples(graph, np.random.default_rng(3))
    reference = tensorflow_reference(model, samples)[0]
    micro = tflite_micro(model, samples, 1)[0]
    if build is softmax and scheme == "int16x8":
        assert np.abs(reference.astype(int) - micro).max() <= 1  # a known difference of the two
    else:
        np.testing.assert_array_equal(reference, micro)
    assert len(np.unique(reference)) > 4


@pytest.mark.parametrize("build", [convolution, addition, fully_connected, softmax])
def test_reads_back_what_was_written(build) -> None:
    graph = build("int8")
    again = read_graph(write_graph(graph), check=False)
    assert write_graph(again) == write_graph(graph)
    assert (again.inputs, again.outputs) == (graph.inputs, graph.outputs)
    for before, after in zip(graph.tensors, again.tensors, strict=True):
        assert (before.name, before.shape, before.dtype) == (after.name, after.shape, after.dtype)
        assert before.quantization == after.quantization
        if before.data is not None:
            np.testing.assert_array_equal(before.data, after.data)
    for node, read in zip(graph.nodes, again.nodes, strict=True):
        assert (node.operator, node.inputs, node.outputs) == (read.operator, read.inputs, read.outputs)
        assert {name: read.options[name] for name in node.options} == dict(node.options)


@pytest.mark.parametrize(
    ("operator", "scheme", "version"),
    [
        ("CONV_2D", "int8", 3),
        ("CONV_2D", "int16x8", 4),
        ("ADD", "int8", 2),
        ("ADD", "int16x8", 3),
        ("FULLY_CONNECTED", "int8", 4),
        ("FULLY_CONNECTED", "int16x8", 7),
        ("SOFTMAX", "int16x8", 3),
    ],
)
def test_operator_versions(operator: str, scheme: str, version: int) -> None:
    builds = {"CONV_2D": convolution, "ADD": addition, "FULLY_CONNECTED": fully_connected, "SOFTMAX": softmax}
    (code,) = decode(write_graph(builds[operator](scheme)))["operator_codes"]
    assert code["version"] == version


def test_constants_are_aligned() -> None:
    model = write_graph(convolution("int8"))
    for tensor in convolution("int8").tensors:
        if tensor.data is not None:
            assert model.index(tensor.data.tobytes()) % 16 == 0


def test_unknown_names_are_refused() -> None:
    b = GraphBuilder()
    b.node("SOFTMAX", (b.input((1, 4), "int8", 0.1, 0),), (1, 4), beta=1.0, gamma=2.0)
    with pytest.raises(TinyguardError, match="SOFTMAX has no option 'gamma'"):
        write_graph(b.graph())
    b = GraphBuilder()
    b.node("SOFTMEAN", (b.input((1, 4), "int8", 0.1, 0),), (1, 4))
    with pytest.raises(TinyguardError, match="'SOFTMEAN' is not a BuiltinOperator"):
        write_graph(b.graph())
