# SPDX-License-Identifier: Apache-2.0
"""What the reader refuses, and how it says so; what it reads from the MLPerf Tiny networks."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.operators.builder import GraphBuilder
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph, Node, Tensor
from tinyguard.tflite import read_graph, survey, write_graph
from tinyguard.tflite.flatbuffer import Table, decode, encode

MLPERF = {
    "kws_ref_model.tflite": (
        "aeea436800704fce17b17292e4412630ad856e9d777c044c64ef748a880bd0ae",
        {"CONV_2D": 5, "DEPTHWISE_CONV_2D": 4, "AVERAGE_POOL_2D": 1, "RESHAPE": 1, "FULLY_CONNECTED": 1}
        | {"SOFTMAX": 1},
        2_656_768,
    ),
    "pretrainedResnet_quant.tflite": (
        "3c002613d1b2475eb51dd78dfb85a546c8ae658dee71cf6ade43b022fe205415",
        {"CONV_2D": 9, "ADD": 3, "AVERAGE_POOL_2D": 1, "RESHAPE": 1, "FULLY_CONNECTED": 1, "SOFTMAX": 1},
        12_501_632,
    ),
    "vww_96_int8.tflite": (
        "597a384c8c2c8a1276f04702f25013b7838f2f814f1ca7c174d295b73e3d6b7b",
        {"CONV_2D": 14, "DEPTHWISE_CONV_2D": 13, "AVERAGE_POOL_2D": 1, "RESHAPE": 1, "FULLY_CONNECTED": 1}
        | {"SOFTMAX": 1},
        7_489_664,
    ),
}


def _macs(graph: Graph, node: Node) -> int:
    """Multiply-accumulates from the shapes alone: outputs times weights read for each."""
    if node.operator not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
        return 0
    weights, output = graph.tensors[node.inputs[1]].shape, graph.tensors[node.outputs[0]]
    per_output = {"DEPTHWISE_CONV_2D": weights[1:3]}.get(node.operator, weights[1:])
    return output.elements * int(np.prod(per_output))


def test_mlperf_networks(mlperf_model: Path) -> None:
    graph = read_graph(mlperf_model, check=False)
    sha256, operators, macs = MLPERF[mlperf_model.name]
    assert graph.sha256 == sha256
    counted: dict[str, int] = {}
    for node in graph.nodes:
        counted[node.operator] = counted.get(node.operator, 0) + 1
    assert counted == operators
    assert sum(_macs(graph, node) for node in graph.nodes) == macs
    assert graph.metadata.keys() == {"min_runtime_version"}
    first = graph.nodes[0]
    assert first.options["fused_activation_function"] == "RELU"
    assert graph.tensors[first.inputs[1]].quantization.per_channel
    assert [graph.tensors[index].shape[0] for index in (*graph.inputs, *graph.outputs)] == [1, 1]


def _softmax() -> GraphBuilder:
    b = GraphBuilder()
    b.node("SOFTMAX", (b.input((1, 4), "int8", 0.1, 0),), (1, 4), "int8", 1 / 256, -128, beta=1.0)
    return b


def _edited(edit: Callable[[dict[str, Any]], None]) -> bytes:
    """A valid file, its sub-graph's fields changed by `edit`."""
    model = decode(write_graph(_softmax().graph()))
    subgraph = dict(model["subgraphs"][0].values)
    edit(subgraph)
    return encode(replace(model, values={**model.values, "subgraphs": (Table("SubGraph", subgraph),)}))


def _tensor(index: int, **fields: Any) -> Callable[[dict[str, Any]], None]:
    def edit(subgraph: dict[str, Any]) -> None:
        tensors = list(subgraph["tensors"])
        tensors[index] = Table("Tensor", {**tensors[index].values, **fields})
        subgraph["tensors"] = tuple(tensors)

    return edit


def _operator(**fields: Any) -> Callable[[dict[str, Any]], None]:
    def edit(subgraph: dict[str, Any]) -> None:
        subgraph["operators"] = (Table("Operator", {**subgraph["operators"][0].values, **fields}),)

    return edit


def _scales(scales: tuple[float, ...], zero_points: tuple[int, ...]) -> Callable[[dict[str, Any]], None]:
    return _tensor(
        0, quantization=Table("QuantizationParameters", {"scale": scales, "zero_point": zero_points})
    )


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (_operator(inputs=(7,)), r"SOFTMAX \(operator 0\) refers to tensor 7 of 2"),
        (_operator(inputs=(-2,)), "refers to tensor -2"),
        (_operator(outputs=()), "has no output"),
        (_operator(opcode_index=3), "operator code 3 of 1"),
        (_operator(inputs=(1,)), "reads 'softmax_1' before anything has written it"),
        (_operator(outputs=(0,)), "writes 'input_0', which has a value already"),
        (_operator(builtin_options_type=11, builtin_options=Table("AddOptions")), "carries AddOptions"),
        (_operator(builtin_options=Table("SoftmaxOptions", {"beta": float("nan")})), "has beta nan"),
        (lambda subgraph: subgraph.update(operators=()), "no operators"),
        (lambda subgraph: subgraph.update(outputs=(0,)), "no operator writes the output 'input_0'"),
        (lambda subgraph: subgraph.update(inputs=(0, 0)), "an input of the graph twice"),
        (lambda subgraph: subgraph.update(inputs=()), "has no input"),
        (_tensor(0, buffer=5), "buffer 5 of 1"),
        (_tensor(0, type=99), "unknown type 99"),
        (_tensor(0, shape=(1, -4)), "empty shape"),
        (_tensor(0, shape=(1,) * 9), "9 dimensions"),
        (_tensor(0, shape=(1, 2**30)), "needs more than 268435456 bytes"),
        (_tensor(0, shape=(2, 4)), "has batch 2; export it with batch 1"),
        (_tensor(0, shape_signature=(-1, -1)), "dynamic shape"),
        (_scales((0.0,), (0,)), "a scale that is not"),
        (_scales((float("inf"),), (0,)), "a scale that is not"),
        (_scales((1e-38,), (0,)), "a scale that is not"),
        (_scales((0.1,), ()), "1 scales but 0 zero points"),
        (_scales((0.1,), (128,)), "zero point outside int8"),
        (_scales((0.1,) * 3, (0,) * 3), "3 scales along dimension 0"),
    ],
)
def test_contradictions_are_refused(edit: Callable[[dict[str, Any]], None], words: str) -> None:
    with pytest.raises(TinyguardError, match=words) as refused:
        read_graph(_edited(edit))
    assert "\n" not in str(refused.value)


def test_constants_of_the_wrong_size_are_refused() -> None:
    b = _softmax()
    b.constant(np.zeros(3, np.int8), 0.1)
    model = decode(write_graph(b.graph()))
    buffers = (*model["buffers"][:1], Table("Buffer", {"data": b"four"}))
    with pytest.raises(TinyguardError, match=r"'constant_2' of int8 \(3,\) has 4 bytes, not 3"):
        read_graph(encode(replace(model, values={**model.values, "buffers": buffers})))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (_tensor(0, is_variable=True), "tensor 'input_0' is a variable"),
        (_tensor(0, sparsity=Table("SparsityParameters")), "tensor 'input_0' is sparse"),
        (_tensor(0, type=17), "SOFTMAX 'softmax_1': int4 tensor 'input_0'"),
    ],
)
def test_unsupported_tensors(edit: Callable[[dict[str, Any]], None], words: str) -> None:
    graph, problems = survey(_edited(edit))
    assert [problem for problem in problems if problem.startswith(words)]
    assert len(graph.nodes) == 1
    with pytest.raises(TinyguardError, match=words):
        read_graph(_edited(edit))


def test_everything_unsupported_is_named_at_once() -> None:
    b = GraphBuilder()
    x = b.input((1, 4), "int8", 0.1, 0)
    for operator in ("EXP", "COS", "CUSTOM"):
        x = b.node(operator, (x,), (1, 4))
    _, problems = survey(write_graph(b.graph()))
    assert [problem.split(":")[0] for problem in sorted(problems)] == [
        "COS 'cos_2'",
        "CUSTOM 'custom_3'",
        "EXP 'exp_1'",
    ]
    with pytest.raises(TinyguardError, match=r"3 unsupported: .*EXP 'exp_1'") as refused:
        read_graph(write_graph(b.graph()))
    assert "\n" not in str(refused.value)


def _layer(dtype: str, weights: np.dtype | type) -> bytes:
    tensors = (
        Tensor(0, "x", (1, 4), dtype),
        Tensor(1, "w", (2, 4), np.dtype(weights).name, None, np.ones((2, 4), weights)),
        Tensor(2, "y", (1, 2), dtype),
    )
    node = Node(0, "FULLY_CONNECTED", (0, 1, -1), (2,), {"fused_activation_function": "NONE"})
    return write_graph(Graph(tensors, (node,), (0,), (2,)))


@pytest.mark.parametrize(
    ("dtype", "weights", "words"),
    [
        ("float32", np.float32, "float32 network"),
        ("float32", np.int8, "dynamic-range quantization"),
        ("float32", np.float16, "float16 weights"),
        ("uint8", np.uint8, "uint8 activations"),
    ],
)
def test_other_schemes_are_refused_with_the_conversion(dtype: str, weights: type, words: str) -> None:
    with pytest.raises(TinyguardError, match=rf"\d unsupported: {words}.*`tinyguard quantize SOURCE"):
        read_graph(_layer(dtype, weights))


def test_float_layers_in_an_integer_network_are_named() -> None:
    b = GraphBuilder()
    x = b.input((1, 4), "float32")
    y = b.node("QUANTIZE", (x,), (1, 4), "int8", 0.1, 0)
    z = b.node("DEQUANTIZE", (y,), (1, 4), "float32")
    b.node("LOGISTIC", (z,), (1, 4), "float32")
    _, problems = survey(write_graph(b.graph()))
    assert "DEQUANTIZE 'dequantize_2': float32 tensor 'dequantize_2'" in problems
    assert "LOGISTIC 'logistic_3': float32 tensor 'dequantize_2'" in problems
    assert not [problem for problem in problems if problem.startswith("QUANTIZE") and "float32" in problem]


def test_names_are_made_fit_for_one_line() -> None:
    graph, _ = survey(_edited(_tensor(1, name="a\nb\x1b[31m\udcff")))
    assert graph.tensors[1].name == "a?b?[31m?"


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "not a .tflite file"), (b"\x89HDF....", "not a .tflite file"), (None, "no such file")],
)
def test_what_is_no_model(content: bytes | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TinyguardError, match=f"{path}: {words}"):
        read_graph(path)
