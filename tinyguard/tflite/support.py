# SPDX-License-Identifier: Apache-2.0
"""What a .tflite file holds that tinyguard does not run, all of it, with layer names."""

from dataclasses import replace

from tinyguard.graph import DTYPE_BYTES, Graph, Node, Tensor
from tinyguard.tflite.flatbuffer import Table
from tinyguard.tflite.tensors import readable

_QUANTIZE = "convert its source with `tinyguard quantize SOURCE -o model.tflite --calibration DATA`"
_MAX_NAME = 80


def shortened(name: str) -> str:
    """A layer name short enough for a message; converters join the names of fused layers."""
    return name if len(name) <= _MAX_NAME else f"{name[: _MAX_NAME - 3]}..."


def problems(model: Table, graph: Graph) -> list[str]:
    """A line for each thing that stands between the file and the device; empty when nothing does."""
    scheme = _scheme(graph)
    reasons = [scheme] if scheme else []
    if len(model["subgraphs"]) > 1:
        reasons.append(
            f"{len(model['subgraphs'])} subgraphs (control flow); export a network without branches"
        )
    reasons += _tensor_problems(model, graph)
    rest: list[Node] = []
    for node in graph.nodes:
        # In a file of another scheme every layer's types are wrong: conversion cures that.
        reason = _custom(model, node) or (None if scheme else _wrong_dtype(graph, node))
        if reason:
            reasons.append(f"{node.operator} '{shortened(graph.node_name(node))}': {reason}")
        else:
            rest.append(node)
    return reasons + _operator_problems(replace(graph, nodes=tuple(rest)), missing_only=scheme is not None)


def hardening_problems(graph: Graph) -> list[str]:
    """Why layers that the metadata adds do not fit the network."""
    from tinyguard.operators import registry, unsupported

    added = tuple(n for n in graph.nodes if n.operator in registry() and not registry()[n.operator].in_file)
    return unsupported(replace(graph, nodes=added)) if added else []


def _operator_problems(graph: Graph, missing_only: bool) -> list[str]:
    from tinyguard.operators import operator_names, unsupported

    if missing_only:
        known = set(operator_names())
        graph = replace(graph, nodes=tuple(node for node in graph.nodes if node.operator not in known))
    return unsupported(graph)


def _scheme(graph: Graph) -> str | None:
    """Why the whole file is of a kind that is not run: float, float16 weights, dynamic range, uint8."""
    computed = [graph.tensors[index] for node in graph.nodes for index in node.outputs]
    constants = {
        graph.tensors[index].dtype
        for node in graph.nodes
        for index in node.inputs
        if index >= 0 and graph.tensors[index].is_constant
    }
    dtypes = {tensor.dtype for tensor in (*computed, *(graph.tensors[index] for index in graph.inputs))}
    if "uint8" in dtypes:
        return f"uint8 activations (the scheme before int8, or `inference_input_type=uint8`): {_QUANTIZE}"
    if "float32" not in dtypes or dtypes & {"int8", "int16"}:
        return None
    if "float16" in constants:
        return f"float16 weights with float32 activations: {_QUANTIZE}"
    if "int8" in constants:
        return f"dynamic-range quantization (int8 weights, float32 activations): {_QUANTIZE}"
    return f"float32 network: {_QUANTIZE}"


def _tensor_problems(model: Table, graph: Graph) -> list[str]:
    reasons = []
    tables = model["subgraphs"][0]["tensors"]
    for tensor, table in zip(graph.tensors, tables, strict=True):
        buffer = model["buffers"][table["buffer"]]
        for holds, what in (
            (table["sparsity"] is not None, "sparse"),
            (table["is_variable"], "a variable (state between inferences)"),
            (table["variant_tensors"] != (), "a variant"),
            (buffer["offset"] > 1, "stored outside the FlatBuffer"),
            (_blockwise(table["quantization"]), "quantized in blocks or by a custom scheme"),
        ):
            if holds:
                reasons.append(f"tensor '{shortened(tensor.name)}' is {what}")
    return reasons


def _blockwise(quantization: Table | None) -> bool:
    return quantization is not None and quantization["details_type"] != 0


def _custom(model: Table, node: Node) -> str | None:
    table = model["subgraphs"][0]["operators"][node.index]
    code = model["operator_codes"][table["opcode_index"]]["custom_code"]
    return f"custom operator {shortened(readable(code))}" if node.operator == "CUSTOM" or code else None


def _wrong_dtype(graph: Graph, node: Node) -> str | None:
    for index in (*node.inputs, *node.outputs):
        if index >= 0 and not _dtype_runs(graph, node, graph.tensors[index]):
            return f"{graph.tensors[index].dtype} tensor '{shortened(graph.tensors[index].name)}'"
    return None


def _dtype_runs(graph: Graph, node: Node, tensor: Tensor) -> bool:
    """float32 is allowed at the border only: an input into QUANTIZE, an output of DEQUANTIZE."""
    if tensor.dtype == "float32":
        entering = node.operator == "QUANTIZE" and tensor.index in graph.inputs
        return entering or (node.operator == "DEQUANTIZE" and tensor.index in graph.outputs)
    return tensor.dtype in DTYPE_BYTES and tensor.dtype != "uint8"
