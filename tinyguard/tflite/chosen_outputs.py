# SPDX-License-Identifier: Apache-2.0
"""Which outputs a .tflite file has, in which order and under which names."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tinyguard.errors import TinyguardError
from tinyguard.graph.answer import answered_by_exits, choose_output, output_place
from tinyguard.tflite.flatbuffer import Table, decode, encode
from tinyguard.tflite.metadata import Metadata, read_metadata, with_metadata
from tinyguard.tflite.reader import read_graph
from tinyguard.tflite.tensors import damaged


def with_outputs(data: bytes, places: Sequence[int], names: Sequence[str] = ()) -> bytes:
    """The file with its outputs number `places`, in that order; `data` itself where nothing changes.

    `names` are what the chosen outputs' tensors are called from then on; "" and a name that another tensor
    has keep what is there. Signatures list the chosen outputs in the same order, under their own names, and
    the metadata says of each what it said.
    Layers, tensors and weights that only other outputs needed are left out. Raises TinyguardError for a
    place that is not there or comes twice, and for a file that cannot be written again.
    """
    model = decode(data)
    if not model["subgraphs"]:
        raise TinyguardError("the file holds no network: export the model again")
    if any(buffer["offset"] > 1 for buffer in model["buffers"]):
        raise TinyguardError("cannot rewrite a file that keeps data outside the FlatBuffer; export it again")
    subgraph = model["subgraphs"][0]
    outputs = subgraph["outputs"]
    _check_indices(subgraph)
    if not places or len(set(places)) != len(places) or not all(0 <= p < len(outputs) for p in places):
        raise TinyguardError(
            f"outputs {', '.join(map(str, places)) or 'none'} of a network with {len(outputs)}: "
            f"name each of 0 to {len(outputs) - 1} once at most"
        )
    chosen = tuple(outputs[place] for place in places)
    renamed = _renamed(subgraph["tensors"], chosen, names)
    if chosen == tuple(outputs) and renamed == subgraph["tensors"]:
        return data
    subgraph = _changed(subgraph, outputs=chosen, tensors=renamed)
    signatures = tuple(_signature(signature, chosen) for signature in model["signature_defs"])
    model = _changed(model, subgraphs=(subgraph, *model["subgraphs"][1:]))
    model = _changed(model, signature_defs=signatures) if signatures else model
    written = encode(_pruned(model) if len(chosen) < len(set(outputs)) else model)
    record = read_metadata(written)
    if record is None or record.outputs is None or len(record.outputs) != len(outputs):
        return written
    said = tuple(record.outputs[place] for place in places)
    return with_metadata(written, record.with_section("outputs", said))


def with_one_output(data: bytes, wanted: str | int) -> bytes:
    """The file with the output of this name or number alone, its role and everything else kept.

    Raises TinyguardError where there is no such output, no class follows from it, the file has exits, or it
    cannot be written again.
    """
    metadata = read_metadata(data) or Metadata()
    if metadata.exits is not None:
        raise answered_by_exits(wanted)
    plain = with_metadata(data, Metadata.of(outputs=metadata.outputs))
    graph = read_graph(plain, check=False)
    place = output_place(graph, wanted)
    choose_output(graph, place)
    return with_outputs(data, (place,))


def _check_indices(subgraph: Table) -> None:
    operators = subgraph["operators"]
    used = [
        i
        for operator in operators
        for i in (*operator["inputs"], *operator["outputs"], *operator["intermediates"])
    ]
    ends = [*subgraph["inputs"], *subgraph["outputs"]]
    if not all(-1 <= i < len(subgraph["tensors"]) for i in used) or not all(
        0 <= i < len(subgraph["tensors"]) for i in ends
    ):
        raise damaged("a layer refers to a tensor that is not there")


def _changed(table: Table, **values: Any) -> Table:
    return replace(table, values=table.values | values)


def _renamed(tensors: tuple[Table, ...], chosen: Sequence[int], names: Sequence[str]) -> tuple[Table, ...]:
    tables = list(tensors)
    taken = {table["name"] for place, table in enumerate(tensors) if place not in chosen}
    for index, name in zip(chosen, names, strict=False):
        if name and name not in taken:
            taken.add(name)
            tables[index] = _changed(tables[index], name=name)
    return tuple(tables)


def _signature(signature: Table, chosen: Sequence[int]) -> Table:
    """A signature of the first subgraph, with the chosen outputs in their order."""
    if signature["subgraph_index"]:
        return signature
    kept = [entry for entry in signature["outputs"] if entry["tensor_index"] in chosen]
    kept.sort(key=lambda entry: chosen.index(entry["tensor_index"]))
    return _changed(signature, outputs=tuple(kept))


def _pruned(model: Table) -> Table:
    """Without what no output needs; as it is where control flow hides what is needed."""
    if len(model["subgraphs"]) != 1:
        return model
    (subgraph,) = model["subgraphs"]
    needed = {*subgraph["inputs"], *subgraph["outputs"]}
    layers = []
    for operator in reversed(subgraph["operators"]):
        if not operator["outputs"] or needed.intersection(operator["outputs"]):
            layers.append(operator)
            needed.update(operator["inputs"], operator["outputs"], operator["intermediates"])
    kept = sorted(needed - {-1})
    moved = {-1: -1} | {index: place for place, index in enumerate(kept)}
    tensors = tuple(subgraph["tensors"][index] for index in kept)
    subgraph = _changed(
        subgraph,
        inputs=_moved(subgraph["inputs"], moved),
        outputs=_moved(subgraph["outputs"], moved),
        operators=tuple(_moved_operator(layer, moved) for layer in reversed(layers)),
        tensors=tensors,
    )
    signatures = tuple(_moved_signature(signature, moved) for signature in model["signature_defs"])
    model = _changed(model, subgraphs=(subgraph,))
    return _without_unused_buffers(_changed(model, signature_defs=signatures) if signatures else model)


def _moved(indices: Sequence[int], moved: Mapping[int, int]) -> tuple[int, ...]:
    return tuple(moved[index] for index in indices)


def _moved_operator(operator: Table, moved: Mapping[int, int]) -> Table:
    fields = [field for field in ("inputs", "outputs", "intermediates") if operator[field]]
    return _changed(operator, **{field: _moved(operator[field], moved) for field in fields})


def _moved_signature(signature: Table, moved: Mapping[int, int]) -> Table:
    sides = {
        side: tuple(
            _changed(entry, tensor_index=moved[entry["tensor_index"]])
            for entry in signature[side]
            if entry["tensor_index"] in moved
        )
        for side in ("inputs", "outputs")
    }
    return _changed(signature, **sides)


def _without_unused_buffers(model: Table) -> Table:
    """Buffers keep their numbers; those that nothing refers to any more are empty."""
    users = Counter(tensor["buffer"] for subgraph in model["subgraphs"] for tensor in subgraph["tensors"])
    users.update(entry["buffer"] for entry in model["metadata"])
    users.update(model["metadata_buffer"])
    buffers = tuple(
        buffer if users[place] else Table("Buffer") for place, buffer in enumerate(model["buffers"])
    )
    return _changed(model, buffers=buffers)
