# SPDX-License-Identifier: Apache-2.0
"""Tensors of a decoded .tflite file, checked: shapes, constants and quantization."""

import math
from collections.abc import Sequence

import numpy as np

from tinyguard.errors import TinyguardError
from tinyguard.graph import DTYPE_BYTES, Quantization, Tensor
from tinyguard.tflite.flatbuffer import Table
from tinyguard.tflite.schema import ENUMS

_MAX_RANK = 8
_MAX_TENSOR_BYTES = 256 << 20
_MAX_TOTAL_BYTES = 256 << 20
# Far beyond any network's; within them no quotient of scales overflows a float32.
_MIN_SCALE, _MAX_SCALE = 1e-30, 1e18
_CODE_LIMITS = {"int8": 2**7, "int16": 2**15, "int32": 2**31, "int64": 2**63}


def readable(name: str) -> str:
    """A name from a file, fit for one line on any terminal."""
    return "".join(character if character.isprintable() else "?" for character in name)


def damaged(what: str) -> TinyguardError:
    """The error for a file that no converter would write."""
    return TinyguardError(f"damaged .tflite file: {what}; export the model again")


def read_tensors(tables: Sequence[Table], buffers: Sequence[Table]) -> tuple[Tensor, ...]:
    """Tensors in file order. Constants' data is little-endian, read-only, in the tensor's shape.

    An empty int32 vector is a constant: the shape that RESHAPE gives a scalar.
    A dtype outside `DTYPE_BYTES` is kept under its lower-case schema name, its data as uint8.
    Raises TinyguardError when a shape, a constant or a quantization contradicts itself.
    """
    tensors = tuple(_tensor(index, table, buffers) for index, table in enumerate(tables))
    for what, chosen in (
        ("constants", [tensor for tensor in tensors if tensor.is_constant]),
        ("activations", [tensor for tensor in tensors if not tensor.is_constant]),
    ):
        total = sum(tensor.size_bytes for tensor in chosen if tensor.dtype in DTYPE_BYTES)
        if total > _MAX_TOTAL_BYTES:
            raise TinyguardError(f"{what} of {total} bytes; at most {_MAX_TOTAL_BYTES} are accepted")
    return tensors


def _tensor(index: int, table: Table, buffers: Sequence[Table]) -> Tensor:
    name = readable(table["name"]) or f"tensor_{index}"
    kind = table["type"]
    if not 0 <= kind < len(ENUMS["TensorType"]):
        raise damaged(f"tensor '{name}' of unknown type {kind}")
    dtype = ENUMS["TensorType"][kind].lower()
    if table["shape"] == (0,) and dtype == "int32":
        return Tensor(index, name, (0,), dtype, None, np.zeros(0, np.int32))  # the shape of a scalar
    shape = _shape(name, table["shape"], DTYPE_BYTES.get(dtype, 1))
    if table["buffer"] >= len(buffers):
        raise damaged(f"tensor '{name}' refers to buffer {table['buffer']} of {len(buffers)}")
    content = buffers[table["buffer"]]["data"] if table["buffer"] else b""
    data = _constant(name, content, shape, dtype) if content else None
    return Tensor(index, name, shape, dtype, _quantization(name, table["quantization"], shape, dtype), data)


def _shape(name: str, shape: tuple[int, ...], element_bytes: int) -> tuple[int, ...]:
    if len(shape) > _MAX_RANK:
        raise damaged(f"tensor '{name}' has {len(shape)} dimensions, more than {_MAX_RANK}")
    if any(dimension < 1 for dimension in shape):
        raise damaged(f"tensor '{name}' has the empty shape {shape}")
    if math.prod(shape) * element_bytes > _MAX_TENSOR_BYTES:
        raise damaged(f"tensor '{name}' of shape {shape} needs more than {_MAX_TENSOR_BYTES} bytes")
    return shape


def _constant(name: str, content: bytes, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    if dtype not in DTYPE_BYTES:
        return np.frombuffer(content, np.uint8)
    expected = math.prod(shape) * DTYPE_BYTES[dtype]
    if len(content) != expected:
        raise damaged(f"constant '{name}' of {dtype} {shape} has {len(content)} bytes, not {expected}")
    if dtype == "bool":
        return np.frombuffer(content, np.uint8).astype(np.bool_).reshape(shape)
    return np.frombuffer(content, np.dtype(dtype).newbyteorder("<")).reshape(shape)


def _quantization(name: str, table: Table | None, shape: tuple[int, ...], dtype: str) -> Quantization | None:
    if table is None or not table["scale"] or dtype not in (*_CODE_LIMITS, "uint8"):
        return None
    scales, zero_points, axis = table["scale"], table["zero_point"], table["quantized_dimension"]
    if not all(_MIN_SCALE <= scale <= _MAX_SCALE for scale in scales):
        raise damaged(f"tensor '{name}' has a scale that is not between {_MIN_SCALE} and {_MAX_SCALE}")
    if len(zero_points) != len(scales):
        raise damaged(f"tensor '{name}' has {len(scales)} scales but {len(zero_points)} zero points")
    if len(scales) == 1:
        axis = 0
    elif not 0 <= axis < len(shape) or shape[axis] != len(scales):
        raise damaged(f"tensor '{name}' of shape {shape} has {len(scales)} scales along dimension {axis}")
    low, high = (0, 256) if dtype == "uint8" else (-_CODE_LIMITS[dtype], _CODE_LIMITS[dtype])
    if not all(low <= zero_point < high for zero_point in zero_points):
        raise damaged(f"tensor '{name}' has a zero point outside {dtype}")
    return Quantization(scales, zero_points, axis)
