# SPDX-License-Identifier: Apache-2.0
"""The runtimes a graph is put to: from samples, one array (N, *shape) of codes per graph input, to
one array (N, *shape) per graph output.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tinyguard.codegen.batch import Batch
from tinyguard.graph import Graph, Node, Tensor
from tinyguard.graph.execute import execute
from tinyguard.native import loops
from tinyguard.operators import resolve
from tinyguard.tflite.flatbuffer import decode, encode
from tinyguard.tflite.reader import read_graph
from tinyguard.tflite.schema import ENUMS

Arrays = list[np.ndarray]
# TF's register_ref.cc stops short of the versions that its converter writes; the kernels do not.
_REGISTERED_VERSIONS = {"STRIDED_SLICE": 4, "TRANSPOSE": 5}
ARENA_BYTES = 1 << 20  # TFLM's, beside ten times the file


class Refusal(Exception):  # noqa: N818 (an answer, compared with the known differences)
    """The runtime does not take this file."""


def tensorflow_reference(model: bytes, samples: Sequence[np.ndarray]) -> Arrays:
    """TF 2.19's interpreter with its reference kernels: the oracle. Sample by sample."""
    tf = _tensorflow()
    try:
        interpreter = tf.lite.Interpreter(
            model_content=_registered(model),
            num_threads=1,
            experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF,
        )
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise Refusal(str(error).strip().splitlines()[-1]) from error
    sources = [entry["index"] for entry in interpreter.get_input_details()]
    results = [entry["index"] for entry in interpreter.get_output_details()]

    def invoke(sample: list[np.ndarray]) -> Arrays:
        for index, values in zip(sources, sample, strict=True):
            interpreter.set_tensor(index, values)
        interpreter.invoke()
        return [interpreter.get_tensor(index) for index in results]

    return _sample_by_sample(invoke, samples)


def tflite_micro(model: bytes, samples: Sequence[np.ndarray], outputs: int) -> Arrays:
    """TFLM on the host: the second oracle. Sample by sample."""
    from tflite_micro.python.tflite_micro import runtime

    graph = read_graph(model, check=False)
    if any(_misread_by_tflite_micro(graph, node) for node in graph.nodes):
        raise Refusal("TFLM would read the slice's masks wrongly")
    try:
        interpreter = runtime.Interpreter.from_bytes(model, arena_size=ARENA_BYTES + 10 * len(model))
    except Exception as error:
        raise Refusal(str(error).strip() or type(error).__name__) from error

    def invoke(sample: list[np.ndarray]) -> Arrays:
        for index, values in enumerate(sample):
            interpreter.set_input(values, index)
        interpreter.invoke()
        return [np.array(interpreter.get_output(i)) for i in range(outputs)]

    return _sample_by_sample(invoke, samples)


def numpy_reference(graph: Graph, samples: Sequence[np.ndarray]) -> Arrays:
    """`Operator.run` node by node, all samples at once."""
    found = dict(zip(graph.inputs, samples, strict=True))
    steps = [operator.run for operator in resolve(graph)]
    for node, results in execute(graph, steps, samples, lambda tensor: tensor.data[None]):
        for index, result in zip(node.outputs, results, strict=True):
            tensor = graph.tensors[index]
            assert result.dtype == tensor.dtype, f"{tensor.name}: {result.dtype} for {tensor.dtype}"
            assert result.shape[1:] == tensor.shape, f"{tensor.name}: {result.shape[1:]} for {tensor.shape}"
            found[index] = result
    return [_all_samples(found[i], samples) for i in graph.outputs]


def torch_forward(graph: Graph, samples: Sequence[np.ndarray]) -> Arrays:
    """`Operator.forward` node by node on float tensors, all samples at once."""
    return _in_torch(graph, samples, "forward")


def torch_answer(graph: Graph, samples: Sequence[np.ndarray]) -> Arrays:
    """`Layer.answer` node by node on codes of 8 bits as bytes, all samples at once."""
    return _in_torch(graph, samples, "answer")


def _in_torch(graph: Graph, samples: Sequence[np.ndarray], method: str) -> Arrays:
    import torch

    torch.set_num_threads(1)
    inputs = [torch.from_numpy(s.astype(np.float32)) for s in samples]
    if method == "answer":
        pairs = zip(inputs, samples, strict=True)
        inputs = [loops.as_bytes(x) if s.dtype == np.int8 else x for x, s in pairs]
    with torch.no_grad():
        results = [loops.as_floats(x) for x in torch_outputs(graph, inputs, method)]
    dtypes = [graph.tensors[i].dtype for i in graph.outputs]
    return [_all_samples(r.numpy().astype(d), samples) for r, d in zip(results, dtypes, strict=True)]


def torch_outputs(graph: Graph, inputs: Sequence[Any], method: str = "forward") -> list[Any]:
    """The torch outputs of a graph for tensors (N, *shape) of codes, by `forward` differentiable."""
    import torch

    from tinyguard.simulator.choose_layer import layer_of

    def constant(tensor: Tensor) -> Any:
        assert tensor.data is not None
        return torch.from_numpy(tensor.data[None].astype(np.float32))

    found, layers = dict(zip(graph.inputs, inputs, strict=True)), list(map(layer_of, resolve(graph)))
    if method == "answer":
        steps = [layer.answer_in_bytes if layer.makes_bytes else layer.answer for layer in layers]
    else:
        steps = [layer.forward for layer in layers]
    for node, results in execute(graph, steps, inputs, constant):
        for index, result in zip(node.outputs, results, strict=True):
            tensor = graph.tensors[index]
            assert result.shape[1:] == tensor.shape, f"{tensor.name}: {result.shape[1:]} for {tensor.shape}"
            found[index] = result
    return [found[i] for i in graph.outputs]


def host_c(cases: Sequence[tuple[Graph, Sequence[np.ndarray]]], directory: Path) -> list[Arrays]:
    """The generated C of all graphs in one program under ASan and UBSan; one list of outputs per graph."""
    batch = Batch([graph for graph, _ in cases], directory, sanitize=True)
    return [list(outputs) for outputs in batch.run_all([(k, s) for k, (_, s) in enumerate(cases)])]


def _misread_by_tflite_micro(graph: Graph, node: Node) -> bool:
    """TFLM ignores two masks and reads an index for every axis, past the end of shorter indices."""
    if node.operator != "STRIDED_SLICE":
        return False
    indices, rank = graph.tensors[node.inputs[1]].elements, len(graph.tensors[node.inputs[0]].shape)
    return bool(node.options["ellipsis_mask"] or node.options["new_axis_mask"] or indices != rank)


def _registered(model: bytes) -> bytes:
    """The file with no operator version above what TF's reference kernels are registered for."""
    table = decode(model)
    codes = []
    for code in table.values["operator_codes"]:
        name = ENUMS["BuiltinOperator"][code["builtin_code"]]
        version = min(code["version"], _REGISTERED_VERSIONS.get(name, code["version"]))
        codes.append(replace(code, values={**code.values, "version": version}))
    if codes == list(table.values["operator_codes"]):
        return model
    return encode(replace(table, values={**table.values, "operator_codes": tuple(codes)}))


def _sample_by_sample(invoke: Callable[[list[np.ndarray]], Arrays], samples: Sequence[np.ndarray]) -> Arrays:
    try:
        rows = [invoke([s[k] for s in samples]) for k in range(len(samples[0]))]
    except RuntimeError as error:
        raise Refusal(str(error).strip()) from error
    return [np.stack(column) for column in zip(*rows, strict=True)]


def _all_samples(values: np.ndarray, samples: Sequence[np.ndarray]) -> np.ndarray:
    return np.broadcast_to(values, (len(samples[0]), *values.shape[1:]))  # an output may be a constant


@functools.cache
def _tensorflow() -> Any:
    import os

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    import tensorflow

    return tensorflow
