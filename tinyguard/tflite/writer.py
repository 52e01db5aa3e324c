# SPDX-License-Identifier: Apache-2.0
"""Graphs to .tflite files that any TFLite run-time loads."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph, Node, Tensor
from tinyguard.tflite.flatbuffer import Table, encode
from tinyguard.tflite.schema import ENUMS, TABLES, enum_value, options_table
from tinyguard.tflite.versions import operator_version

_SCHEMA_VERSION = 3
_LAST_NARROW_CODE = 126  # builtin codes from here on do not fit the old int8 field


def write_graph(graph: Graph) -> bytes:
    """A .tflite file of the graph, the same bytes for the same graph.

    Tensor indices, names and the graph's metadata are kept. Raises TinyguardError when an operator, an
    option or a dtype is not in the TFLite schema or a constant's data does not have its tensor's shape.
    """
    buffers = [Table("Buffer")]  # buffer 0 is empty by convention
    tensors = tuple(_tensor(tensor, buffers) for tensor in graph.tensors)
    versions = [(node.operator, operator_version(node, graph.tensors)) for node in graph.nodes]
    codes = sorted(set(versions), key=versions.index)
    operators = tuple(
        _operator(node, codes.index(version)) for node, version in zip(graph.nodes, versions, strict=True)
    )
    subgraph = {
        "tensors": tensors,
        "inputs": tuple(graph.inputs),
        "outputs": tuple(graph.outputs),
        "operators": operators,
        "name": "main",
    }
    metadata = tuple(_metadata(name, content, buffers) for name, content in graph.metadata.items())
    model = {
        "version": _SCHEMA_VERSION,
        "operator_codes": tuple(_operator_code(name, version) for name, version in codes),
        "subgraphs": (Table("SubGraph", subgraph),),
        "description": "tinyguard",
        "buffers": tuple(buffers),
        "metadata": metadata,
    }
    return encode(Table("Model", model))


def _tensor(tensor: Tensor, buffers: list[Table]) -> Table:
    values: dict[str, Any] = {
        "name": tensor.name,
        "shape": tuple(tensor.shape),
        "type": _number("TensorType", tensor.dtype.upper(), f"tensor '{tensor.name}'"),
        "has_rank": True,
    }
    if tensor.data is not None:
        values["buffer"] = len(buffers)
        buffers.append(Table("Buffer", {"data": _content(tensor, tensor.data)}))
    if tensor.quantization is not None:
        scales, zero_points = tensor.quantization.scales, tensor.quantization.zero_points
        quantization: dict[str, Any] = {"scale": tuple(scales), "zero_point": tuple(zero_points)}
        if tensor.quantization.axis:
            quantization["quantized_dimension"] = tensor.quantization.axis
        values["quantization"] = Table("QuantizationParameters", quantization)
    return Table("Tensor", values)


def _content(tensor: Tensor, data: np.ndarray) -> bytes:
    if data.shape != tuple(tensor.shape) or data.dtype != np.dtype(tensor.dtype):
        raise TinyguardError(
            f"constant '{tensor.name}' holds {data.dtype} {data.shape}, not {tensor.dtype} {tensor.shape}"
        )
    return data.astype(data.dtype.newbyteorder("<")).tobytes()


def _operator_code(name: str, version: int) -> Table:
    number = _number("BuiltinOperator", name, "operator")
    narrow = min(number, _LAST_NARROW_CODE + 1)
    return Table(
        "OperatorCode", {"deprecated_builtin_code": narrow, "builtin_code": number, "version": version}
    )


def _operator(node: Node, code: int) -> Table:
    values: dict[str, Any] = {"inputs": tuple(node.inputs), "outputs": tuple(node.outputs)}
    if code:
        values["opcode_index"] = code
    table = options_table(node.operator)
    if table is not None:
        values["builtin_options_type"] = enum_value("BuiltinOptions", table)
        values["builtin_options"] = Table(table, _options(node.operator, table, node.options))
    return Table("Operator", values)


def _options(operator: str, table: str, options: Mapping[str, Any]) -> dict[str, Any]:
    fields = {item.name: item for item in TABLES[table]}
    values = {}
    for name, value in options.items():
        if name not in fields:
            raise TinyguardError(f"{operator} has no option '{name}' in the TFLite schema")
        item = fields[name]
        if item.enum is not None:
            value = _number(item.enum, value, f"{operator} {name}")
        elif item.kind == "numbers":
            value = tuple(int(number) for number in value)
        if item.kind != "scalar" or value != item.default:
            values[name] = value
    return values


def _number(enum: str, name: str, where: str) -> int:
    if name not in ENUMS[enum]:
        raise TinyguardError(f"{where}: '{name}' is not a {enum} of the TFLite schema")
    return enum_value(enum, name)


def _metadata(name: str, content: bytes, buffers: list[Table]) -> Table:
    buffers.append(Table("Buffer", {"data": content}))
    return Table("Metadata", {"name": name, "buffer": len(buffers) - 1})
