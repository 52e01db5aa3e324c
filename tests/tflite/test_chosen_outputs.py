# SPDX-License-Identifier: Apache-2.0
"""Files with other outputs: reordered, some alone, renamed."""

from dataclasses import replace

import numpy as np
import pytest

from tests.operators.builder import GraphBuilder
from tinyguard.backends.litert import LiteRTBackend
from tinyguard.errors import TinyguardError
from tinyguard.tflite import (
    Metadata,
    read_graph,
    read_metadata,
    with_metadata,
    with_one_output,
    with_outputs,
    write_graph,
)
from tinyguard.tflite.flatbuffer import Table, decode, encode

SAID = ("scores", "values", None)


@pytest.fixture(scope="module")
def model() -> bytes:
    """A dense layer, three over it that are outputs, and a signature that lists these backwards."""
    rng = np.random.default_rng(5)
    builder = GraphBuilder()

    def dense(source: int, size: int, width: int) -> int:
        weights = builder.constant(rng.integers(-127, 128, (width, size)).astype(np.int8), 0.01)
        bias = builder.constant(rng.integers(-50, 50, width).astype(np.int32), 0.001)
        return builder.node("FULLY_CONNECTED", [source, weights, bias], (1, width), scale=0.1, zero_point=3)

    middle = dense(builder.input((1, 6), scale=0.1, zero_point=0), 6, 8)
    outputs = [dense(middle, 8, width) for width in (2, 3, 3)]
    table = decode(
        with_metadata(write_graph(builder.graph(outputs)), Metadata.of(class_names=("a", "b"), outputs=SAID))
    )
    entries = [
        Table("TensorMap", {"name": f"output_{place}", "tensor_index": index})
        for place, index in reversed(list(enumerate(outputs)))
    ]
    entry = Table("TensorMap", {"name": "x"})
    signature = Table(
        "SignatureDef", {"inputs": (entry,), "outputs": tuple(entries), "signature_key": "serving_default"}
    )
    return encode(replace(table, values=table.values | {"signature_defs": (signature,)}))


def run(data: bytes) -> tuple[np.ndarray, ...]:
    codes = np.random.default_rng(6).integers(-128, 128, (7, 6)).astype(np.int8)
    return LiteRTBackend(data).run(codes)


@pytest.mark.parametrize("places", [(2, 0, 1), (1,), (0,), (2, 1), (0, 1)])
def test_outputs_in_another_order_or_fewer(model: bytes, places: tuple[int, ...]) -> None:
    changed = with_outputs(model, places)
    everything = run(model)
    for place, output in zip(places, run(changed), strict=True):
        np.testing.assert_array_equal(output, everything[place])
    graph = read_graph(changed)
    assert len(graph.nodes) == 1 + len(places)
    record = read_metadata(changed)
    assert record is not None
    assert record.class_names == ("a", "b")
    assert record.outputs == tuple(SAID[place] for place in places)
    (signature,) = decode(changed)["signature_defs"]
    assert [entry["name"] for entry in signature["outputs"]] == [f"output_{place}" for place in places]
    assert tuple(entry["tensor_index"] for entry in signature["outputs"]) == graph.outputs
    assert signature["inputs"][0]["tensor_index"] == graph.inputs[0]
    weights = sum(len(buffer["data"]) for buffer in decode(changed)["buffers"])
    assert weights < sum(len(buffer["data"]) for buffer in decode(model)["buffers"]) or len(places) == 3


def test_the_same_outputs_are_the_same_bytes(model: bytes) -> None:
    assert with_outputs(model, (0, 1, 2)) is model


def test_one_output_is_kept_by_number_with_its_role_and_another_says_no_class(model: bytes) -> None:
    alone = with_one_output(model, 0)
    assert alone == with_outputs(model, (0,))
    record = read_metadata(alone)
    assert record is not None
    assert record.outputs == ("scores",)
    with pytest.raises(TinyguardError, match="is values, from which no class follows"):
        with_one_output(model, 1)


def test_names(model: bytes) -> None:
    before = [tensor.name for tensor in LiteRTBackend(model).outputs]
    changed = with_outputs(model, (1, 0, 2), ("scores", "", "scores"))
    assert [tensor.name for tensor in LiteRTBackend(changed).outputs] == ["scores", before[0], before[2]]
    other = read_graph(model).tensors[read_graph(model).inputs[0]].name
    assert with_outputs(model, (0, 1, 2), (other,)) is model


@pytest.mark.parametrize("places", [(), (3,), (-1,), (0, 0)])
def test_places_that_are_not_there(model: bytes, places: tuple[int, ...]) -> None:
    with pytest.raises(TinyguardError, match="of a network with 3: name each of 0 to 2 once at most"):
        with_outputs(model, places)
