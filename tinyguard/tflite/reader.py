# SPDX-License-Identifier: Apache-2.0
""".tflite files to graphs, with everything checked that later rooms rely on."""

import hashlib
import math
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph, Node
from tinyguard.graph.answer import choose_output
from tinyguard.tflite.content import read_bytes
from tinyguard.tflite.flatbuffer import Table, decode
from tinyguard.tflite.metadata import RECORD_NAME, parse_metadata
from tinyguard.tflite.record import insert_sections
from tinyguard.tflite.schema import ENUMS, TABLES, Field, options_table
from tinyguard.tflite.support import hardening_problems, problems, shortened
from tinyguard.tflite.tensors import damaged, read_tensors, readable

_MAX_NODES = 10_000
_FIX_BATCH = "export it with batch 1 (`tinyguard quantize` fixes the batch)"
_FIX_SHAPE = "export it with a fixed input shape (`tinyguard quantize` fixes the batch)"


def read_graph(source: Path | bytes, check: bool = True, output: str | int | None = None) -> Graph:
    """The network in a .tflite file, with what its metadata adds to the network as layers.

    With `check`, a file with anything that tinyguard does not run is refused, naming all of it at once;
    without, such a file is still read. `output`: the name or number of the output that is the answer, where
    there are several. Raises TinyguardError (one line) for these and for damaged files.
    """
    graph, unsupported = survey(source)
    if check and unsupported:
        where = "" if isinstance(source, bytes) else f"{source}: "
        raise TinyguardError(f"{where}{len(unsupported)} unsupported: {'; '.join(unsupported)}")
    return choose_output(graph, output)


def survey(source: Path | bytes) -> tuple[Graph, list[str]]:
    """The network and what in it tinyguard does not run, a line each, with layer names.

    Raises TinyguardError when the file is missing, is not a .tflite file or contradicts itself.
    """
    data = read_bytes(source)
    try:
        model = decode(data)
        plain = _graph(model, hashlib.sha256(data).hexdigest())
        graph = _hardened(plain)
        return graph, [*problems(model, plain), *hardening_problems(graph)]
    except TinyguardError as error:
        if isinstance(source, bytes):
            raise
        raise TinyguardError(f"{source}: {error}") from None


def _graph(model: Table, sha256: str) -> Graph:
    if not model["subgraphs"]:
        raise damaged("no subgraph")
    subgraph = model["subgraphs"][0]
    tensors = read_tensors(subgraph["tensors"], model["buffers"])
    codes = [_operator_name(code) for code in model["operator_codes"]]
    nodes = tuple(
        _node(index, table, codes, len(tensors)) for index, table in enumerate(subgraph["operators"])
    )
    if not nodes:
        raise damaged("no operators")
    if len(nodes) > _MAX_NODES:
        raise TinyguardError(f"{len(nodes)} operators; at most {_MAX_NODES} are accepted")
    inputs, outputs = subgraph["inputs"], subgraph["outputs"]
    _check_indices("the graph", (*inputs, *outputs), len(tensors), 0)
    graph = Graph(tensors, nodes, inputs, outputs, _metadata(model), sha256)
    _check_order(graph)
    _check_inputs(graph, subgraph["tensors"])
    return graph


def _hardened(graph: Graph) -> Graph:
    """The graph with what its metadata adds to the network."""
    record = graph.metadata.get(RECORD_NAME)
    return graph if record is None else insert_sections(graph, parse_metadata(record).sections)


def _operator_name(code: Table) -> str:
    number = max(code["deprecated_builtin_code"], code["builtin_code"])
    names = ENUMS["BuiltinOperator"]
    return names[number] if 0 <= number < len(names) else f"OPERATOR_{number}"


def _node(index: int, table: Table, codes: list[str], tensors: int) -> Node:
    if table["opcode_index"] >= len(codes):
        raise damaged(f"operator {index} refers to operator code {table['opcode_index']} of {len(codes)}")
    operator = codes[table["opcode_index"]]
    where = f"{operator} (operator {index})"
    if not table["outputs"]:
        raise damaged(f"{where} has no output")
    _check_indices(where, table["inputs"], tensors, -1)
    _check_indices(where, table["outputs"], tensors, 0)
    options = _options(where, operator, table["builtin_options"])
    return Node(index, operator, table["inputs"], table["outputs"], MappingProxyType(options))


def _check_indices(where: str, indices: tuple[int, ...], tensors: int, lowest: int) -> None:
    for index in indices:
        if not lowest <= index < tensors:
            raise damaged(f"{where} refers to tensor {index} of {tensors}")


def _options(where: str, operator: str, table: Table | None) -> dict[str, Any]:
    expected = options_table(operator)
    if expected is None or expected not in TABLES:
        return {}
    fields = TABLES[expected]
    if table is not None and table.kind != expected and fields:
        raise damaged(f"{where} carries {table.kind}")
    table = table if table is not None and table.kind == expected else Table(expected)
    return {item.name: _option(where, item, table[item.name]) for item in fields}


def _option(where: str, item: Field, value: Any) -> Any:
    if item.enum is not None:
        names = ENUMS[item.enum]
        if not 0 <= value < len(names):
            raise damaged(f"{where} has {item.name} {value}")
        return names[value]
    if isinstance(value, float) and not math.isfinite(value):
        raise damaged(f"{where} has {item.name} {value}")
    return value


def _metadata(model: Table) -> MappingProxyType[str, bytes]:
    entries: dict[str, bytes] = {}
    for entry in model["metadata"]:
        if entry["buffer"] >= len(model["buffers"]):
            raise damaged(f"metadata refers to buffer {entry['buffer']} of {len(model['buffers'])}")
        entries[readable(entry["name"])] = model["buffers"][entry["buffer"]]["data"]
    return MappingProxyType(entries)


def _check_order(graph: Graph) -> None:
    for what, indices in (("input", graph.inputs), ("output", graph.outputs)):
        if not indices:
            raise damaged(f"the graph has no {what}")
        if len(set(indices)) != len(indices):
            raise damaged(f"a tensor is an {what} of the graph twice")
    ready = set(graph.inputs)
    for tensor in graph.tensors:
        if tensor.is_constant:
            if tensor.index in ready:
                raise damaged(f"the constant '{tensor.name}' is an input of the graph")
            ready.add(tensor.index)
    written: set[int] = set()
    for node in graph.nodes:
        where = f"{node.operator} '{shortened(graph.node_name(node))}'"
        for slot, index in enumerate(node.inputs):
            if index != -1 and not graph.tensors[index].elements and (node.operator, slot) != ("RESHAPE", 1):
                raise damaged(f"{where} reads the empty tensor '{graph.tensors[index].name}'")
        for index in node.inputs:
            if index != -1 and index not in ready:
                raise damaged(f"{where} reads '{graph.tensors[index].name}' before anything has written it")
        for index in node.outputs:
            if index in ready:
                raise damaged(f"{where} writes '{graph.tensors[index].name}', which has a value already")
            ready.add(index)
            written.add(index)
    for index in graph.outputs:
        if index not in written:
            raise damaged(f"no operator writes the output '{graph.tensors[index].name}'")


def _check_inputs(graph: Graph, tables: tuple[Table, ...]) -> None:
    for index in graph.inputs:
        tensor, signature = graph.tensors[index], tables[index]["shape_signature"]
        if tensor.shape and tensor.shape[0] != 1:
            raise TinyguardError(f"input '{tensor.name}' has batch {tensor.shape[0]}; {_FIX_BATCH}")
        if any(dimension < 0 for dimension in signature[1:]) or len(signature) not in (0, len(tensor.shape)):
            raise TinyguardError(f"input '{tensor.name}' has the dynamic shape {signature}; {_FIX_SHAPE}")
