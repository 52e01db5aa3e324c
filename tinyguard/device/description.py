# SPDX-License-Identifier: Apache-2.0
"""What a board says about itself."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyguard.device.protocol import COUNT_BYTES, COUNTER_CYCLES, DTYPES, MAX_RANK
from tinyguard.graph import sample_shape


@dataclass(frozen=True)
class TensorDescription:
    """An input or output as the board holds it. `shape` includes the batch, 1, where the tensor has one.

    `variable`: an output that the board sends with a count of its used bytes, and no others.
    """

    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int
    size_bytes: int
    variable: bool = False

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one sample in a batch: without the leading 1, which some outputs have lost."""
        return sample_shape(self.shape)

    def from_bytes(self, data: bytes) -> np.ndarray:
        """One tensor of shape `shape`."""
        return np.frombuffer(data, np.dtype(self.dtype).newbyteorder("<")).reshape(self.shape)


@dataclass(frozen=True)
class Description:
    """HELLO and INFO. Sizes in bytes; `model_sha256` in hex."""

    protocol_version: int
    model_sha256: str
    board: str
    core: str
    build: str
    clock_hz: int
    counter_kind: int
    calibration_instructions: int
    calibration_ticks: int
    arena_bytes: int
    link_bytes: int
    stack_bytes: int
    baud: int
    chunk_bytes: int
    layer_count: int
    inputs: tuple[TensorDescription, ...]
    outputs: tuple[TensorDescription, ...]

    @property
    def input_bytes(self) -> int:
        """Of all inputs of a sample."""
        return sum(tensor.size_bytes for tensor in self.inputs)

    @property
    def output_bytes(self) -> int:
        """Of all outputs of a sample as they travel, at most: with the counts of those of variable length."""
        return sum(tensor.size_bytes + COUNT_BYTES * tensor.variable for tensor in self.outputs)

    @property
    def unit(self) -> str:
        """What counts are in: `cycles` or `instructions`."""
        return "cycles" if self.counter_kind == COUNTER_CYCLES else "instructions"

    def to_unit(self, count: int) -> int:
        """A raw count in `unit`."""
        if self.counter_kind == COUNTER_CYCLES or not self.calibration_ticks:
            return count
        return round(count * self.calibration_instructions / self.calibration_ticks)


@dataclass(frozen=True)
class Status:
    """Stack in bytes; counts since the board started."""

    stack_high_water: int
    stack_at_invoke: int
    overruns: int
    frames: int
    frame_errors: int

    @property
    def inference_stack_bytes(self) -> int:
        """What the layers used on top of the runtime, when the stack was repainted before."""
        return max(self.stack_high_water - self.stack_at_invoke, 0)


def tensor_description(fields: dict[str, Any]) -> TensorDescription:
    """From the fields of a DESCRIBE reply; ValueError when they contradict each other."""
    rank = fields["rank"]
    dtype = DTYPES.get(fields["dtype"])
    if dtype is None or rank > MAX_RANK:
        raise ValueError("unknown dtype or rank")
    shape = fields["shape"][:rank]
    if int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize != fields["size_bytes"]:
        raise ValueError("shape and size disagree")
    if not shape:
        shape = (1,)
    return TensorDescription(
        shape=shape,
        dtype=dtype,
        scale=fields["scale"],
        zero_point=fields["zero_point"],
        size_bytes=fields["size_bytes"],
        variable=bool(fields["variable"]),
    )


def text(field: bytes) -> str:
    """A C string field."""
    return field.split(b"\0")[0].decode("ascii", "replace")
