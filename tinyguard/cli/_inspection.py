# SPDX-License-Identifier: Apache-2.0
"""What `tinyguard inspect` says of a network, as one JSON-ready dict."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from tinyguard.boards import Board
from tinyguard.codegen import Options
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph, Node, Tensor
from tinyguard.graph.answer import role_of
from tinyguard.graph.exit_policy import policy_of
from tinyguard.graph.multi_exit import Stage, stages_of
from tinyguard.tflite import survey
from tinyguard.tflite.metadata import RECORD_NAME, parse_metadata


def inspection(model: Path, board: Board | None = None, **options: Unpack[Options]) -> dict[str, Any]:
    """Sizes in bytes; what cannot be known (unsupported layers, not built yet) is None.

    `fits` is False when constants or RAM alone exceed the board, True when an image was linked.
    Raises TinyguardError when the file cannot be read at all.
    """
    graph, unsupported = survey(model)
    record = {"normalization": None, "class_names": None}
    if RECORD_NAME in graph.metadata:
        try:
            record = _record(graph.metadata[RECORD_NAME])
        except TinyguardError as error:
            unsupported = [*unsupported, str(error)]
    layers = [_layer(graph, node) for node in graph.nodes]
    weights = _weights(graph)
    result: dict[str, Any] = {
        "operators": dict(Counter(node.operator for node in graph.nodes)),
        "macs": None if unsupported else sum(layer["macs"] for layer in layers),
        "parameters": sum(tensor.elements for tensor in weights),
        "weights_bytes": sum(tensor.size_bytes for tensor in weights),
        "arena_bytes": None,
        "inputs": [_border(graph.tensors[index]) for index in graph.inputs],
        "outputs": [_output(graph, index) for index in graph.outputs],
        "unsupported": unsupported,
        "sha256": graph.sha256,
        **record,
        "layers": layers,
        "policy": str(policy) if (policy := policy_of(graph)) else None,
        "stages": [_stage(stage, layers) for stage in stages_of(graph)],
    }
    result |= _sizes(graph, board, not unsupported, options)
    return result


def _output(graph: Graph, index: int) -> dict[str, Any]:
    role = role_of(graph, index)
    return {**_border(graph.tensors[index]), "role": role.name, "meaning": role.summary}


def _record(content: bytes) -> dict[str, Any]:
    metadata = parse_metadata(content)
    normalization = metadata.normalization
    return {
        "normalization": normalization and {"mean": normalization.mean, "std": normalization.std},
        "class_names": metadata.class_names,
    }


def _sizes(graph: Graph, board: Board | None, runs: bool, options: Options) -> dict[str, Any]:
    from tinyguard.codegen import default_directory, predict
    from tinyguard.toolchain import check_fit
    from tinyguard.toolchain.build import read_image

    sizes = predict(graph, board, **options) if runs else None
    figures: dict[str, Any] = {"arena_bytes": sizes and sizes.arena_bytes}
    if board is None:
        return figures
    figures |= {
        "board": board.name,
        "constant_bytes": sizes and sizes.constant_bytes,
        "ram_bytes": sizes and sizes.ram_bytes,
        "flash_bytes": None,
        "fits": None,
        "refusal": None,
    }
    if sizes is None:
        return figures
    try:
        check_fit(board, sizes.constant_bytes, sizes.ram_bytes)
    except TinyguardError as error:
        return figures | {"fits": False, "refusal": str(error)}
    try:
        image = read_image(default_directory(graph, board, **options))
    except TinyguardError:
        return figures
    return figures | {"flash_bytes": image.flash_bytes, "fits": True}


def _layer(graph: Graph, node: Node) -> dict[str, Any]:
    output = graph.tensors[node.outputs[0]]
    weights = _weights(replace(graph, nodes=(node,)))
    return {
        "operator": node.operator,
        "name": graph.node_name(node),
        "shape": output.shape,
        "macs": _macs(graph, node),
        "weights_bytes": sum(tensor.size_bytes for tensor in weights),
    }


def _stage(stage: Stage, layers: list[dict[str, Any]]) -> dict[str, Any]:
    """`layers`: how many it has."""
    own = layers[stage.first : stage.end]
    macs = [layer["macs"] for layer in own]
    return {
        "name": stage.name,
        "layers": len(own),
        "macs": None if None in macs else sum(macs),
        "weights_bytes": sum(layer["weights_bytes"] for layer in own),
    }


def _macs(graph: Graph, node: Node) -> int | None:
    """Multiply-accumulates of one layer, None when it cannot be resolved."""
    from tinyguard.operators import resolve

    try:
        (operator,) = resolve(replace(graph, nodes=(node,)))
    except TinyguardError:
        return None
    return operator.macs


def _weights(graph: Graph) -> list[Tensor]:
    """Constants that the layers compute with: float ones, and integers with a quantization (no shapes)."""
    indices = {index for node in graph.nodes for index in node.inputs if index >= 0}
    constants = [graph.tensors[index] for index in sorted(indices) if graph.tensors[index].is_constant]
    return [tensor for tensor in constants if tensor.quantization is not None or tensor.dtype == "float32"]


def _border(tensor: Tensor) -> dict[str, Any]:
    quantization = tensor.quantization
    return {
        "name": tensor.name,
        "shape": tensor.shape,
        "dtype": tensor.dtype,
        "scale": quantization and quantization.scale,
        "zero_point": quantization and quantization.zero_point,
    }
