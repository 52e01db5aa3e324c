# SPDX-License-Identifier: Apache-2.0
"""The decoder and the encoder: lossless on real files, one clear line on anything else."""

import struct
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyguard.errors import TinyguardError
from tinyguard.tflite.flatbuffer import Table, decode, encode, unknown_parts

SMALL = Table(
    "Model",
    {
        "version": 3,
        "description": "näme",
        "buffers": (Table("Buffer"), Table("Buffer", {"data": bytes(range(256))})),
        "operator_codes": (Table("OperatorCode", {"builtin_code": 3, "version": 5}),),
        "metadata_buffer": (1, -2),
        "subgraphs": (
            Table(
                "SubGraph",
                {
                    "tensors": (
                        Table(
                            "Tensor",
                            {
                                "shape": (1, 2),
                                "type": 9,
                                "has_rank": True,
                                "quantization": Table(
                                    "QuantizationParameters",
                                    {"scale": (0.5, float(np.float32(0.1))), "zero_point": (-(2**63), 7)},
                                ),
                            },
                        ),
                    ),
                    "operators": (
                        Table(
                            "Operator",
                            {
                                "inputs": (),
                                "mutating_variable_inputs": (True, False),
                                "builtin_options_type": 9,
                                "builtin_options": Table("SoftmaxOptions", {"beta": 1.0}),
                            },
                        ),
                    ),
                },
            ),
        ),
    },
)


def test_every_kind_of_field_survives() -> None:
    assert decode(encode(SMALL)) == SMALL


def test_real_files_survive(mlperf_model: Path) -> None:
    model = decode(mlperf_model.read_bytes())
    assert unknown_parts(model) == []
    assert decode(encode(model)) == model


def test_defaults() -> None:
    code = Table("OperatorCode")
    assert (code["version"], code["builtin_code"], code["custom_code"]) == (1, 0, "")
    assert Table("Tensor")["quantization"] is None
    with pytest.raises(KeyError):
        code["nonsense"]


def _refusal(data: bytes) -> str | None:
    try:
        decode(data)
    except TinyguardError as error:
        return str(error)
    return None


def test_every_truncation_is_refused() -> None:
    data = encode(SMALL)
    for length in range(len(data)):
        refusal = _refusal(data[:length])
        # Only zero padding at the end may go unnoticed.
        assert refusal is not None or not any(data[length:])
        assert "\n" not in (refusal or "")


def test_fields_that_are_not_known_are_not_lost_silently() -> None:
    data = bytearray(encode(Table("Model", {"metadata_buffer": (5, 6)})))
    (root,) = struct.unpack_from("<I", data)
    # The same vector, now under a ninth field that the schema does not have.
    longer = struct.pack("<HH8HH", 22, 8, *(0,) * 8, 4)
    data += bytes(-len(data) % 4) + longer
    struct.pack_into("<i", data, root, root - (len(data) - len(longer)))
    model = decode(bytes(data))
    assert unknown_parts(model) == ["Model field 8"]
    with pytest.raises(TinyguardError, match="without losing Model field 8"):
        encode(model)


def _model_of_buffers(builder: flatbuffers.Builder, buffers: list[int]) -> bytes:
    builder.StartVector(4, len(buffers), 4)
    for buffer in buffers:
        builder.PrependUOffsetTRelative(buffer)
    vector = builder.EndVector()
    builder.StartObject(5)
    builder.PrependUOffsetTRelativeSlot(4, vector, 0)
    builder.Finish(builder.EndObject(), file_identifier=b"TFL3")
    return bytes(builder.Output())


def test_one_table_cannot_be_referred_to_without_end() -> None:
    builder = flatbuffers.Builder(1 << 20)
    builder.StartObject(0)
    empty = builder.EndObject()
    with pytest.raises(TinyguardError, match="more than 50000 tables"):
        decode(_model_of_buffers(builder, [empty] * 50_001))


def test_one_vector_cannot_be_copied_without_end() -> None:
    builder = flatbuffers.Builder(1 << 20)
    data = builder.CreateByteVector(bytes(200_000))
    buffers = []
    for _ in range(1000):
        builder.StartObject(1)
        builder.PrependUOffsetTRelativeSlot(0, data, 0)
        buffers.append(builder.EndObject())
    with pytest.raises(TinyguardError, match=r"Buffer\.data shared too often"):
        decode(_model_of_buffers(builder, buffers))


@given(st.binary(max_size=300))
def test_any_bytes(content: bytes) -> None:
    data = content[:4].ljust(4, b"\0") + b"TFL3" + content[4:]
    assert "\n" not in (_refusal(data) or "")
