# SPDX-License-Identifier: Apache-2.0
"""Constants of a trained integer network, put into the .tflite file that it came from."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np

from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph, Tensor
from tinyguard.tflite.flatbuffer import Table, decode, encode


def with_constants(data: bytes, graph: Graph) -> bytes:
    """The .tflite file `data` with the constants of `graph`, and their scales; everything else is kept.

    `graph` is the network of `data` with other values in its constants. A buffer that several tensors share
    is left to the others. Raises TinyguardError where the file holds parts that rewriting would lose.
    """
    model = decode(data)
    if any(buffer["offset"] > 1 for buffer in model["buffers"]):
        raise TinyguardError("cannot rewrite a file that keeps data outside the FlatBuffer; export it again")
    buffers = list(model["buffers"])
    users = Counter(tensor["buffer"] for subgraph in model["subgraphs"] for tensor in subgraph["tensors"])
    users.update(entry["buffer"] for entry in model["metadata"])
    subgraph = model["subgraphs"][0]
    tensors = [
        _tensor(table, graph.tensors[index], buffers, users)
        for index, table in enumerate(subgraph["tensors"])
    ]
    first = replace(subgraph, values=subgraph.values | {"tensors": tuple(tensors)})
    values = model.values | {"buffers": tuple(buffers), "subgraphs": (first, *model["subgraphs"][1:])}
    return encode(replace(model, values=values))


def _tensor(table: Table, tensor: Tensor, buffers: list[Table], users: Counter[int]) -> Table:
    """The tensor's table; its data go into its buffer, or into a new one."""
    if tensor.data is None:
        return table
    values: dict[str, Any] = dict(table.values)
    content = np.ascontiguousarray(tensor.data.astype(tensor.data.dtype.newbyteorder("<"))).tobytes()
    place = table["buffer"]
    if content != buffers[place]["data"]:
        if users[place] > 1:
            users[place] -= 1
            place = values["buffer"] = len(buffers)
            buffers.append(Table("Buffer"))
        buffers[place] = replace(buffers[place], values=buffers[place].values | {"data": content})
    quantization = table["quantization"]
    if tensor.quantization is not None and quantization is not None:
        scales = tuple(tensor.quantization.scales)
        if scales != tuple(quantization["scale"]):
            values["quantization"] = replace(quantization, values=quantization.values | {"scale": scales})
    return replace(table, values=values)
