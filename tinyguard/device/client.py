# SPDX-License-Identifier: Apache-2.0
"""A board on a port: connect, run samples, run layer by layer."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

import numpy as np

from tinyguard.device.baud import negotiate_baud
from tinyguard.device.description import Description, Status
from tinyguard.device.failures import SessionLostError
from tinyguard.device.handshake import PATIENCE_S, ask, hello
from tinyguard.device.inference import LayerRun, RawInference, count_layers, infer, infer_layers
from tinyguard.device.link import Link
from tinyguard.device.protocol import STATUS_REPLY, STATUS_REQUEST, Command
from tinyguard.device.settings_exchange import (
    Told,
    check_table,
    fits_a_frame,
    restore,
    set_values,
    tell,
)
from tinyguard.device.transport import DEFAULT_BAUD, Transport
from tinyguard.errors import TinyguardError
from tinyguard.graph import Setting
from tinyguard.graph.settings import checked

T = TypeVar("T")

_RESTARTS = 5
_RECOUNTS = 2


@dataclass(frozen=True)
class Inference:
    """One sample: an array of shape `sample_shape` per output, and its count in the board's unit.

    `disturbed`: bytes arrived while it was counted, so the count is an upper bound.
    """

    outputs: tuple[np.ndarray, ...]
    count: int
    disturbed: bool


@dataclass(frozen=True)
class Batch:
    """N samples: an array (N, *sample_shape) per output; `counts` int64 (N,), `disturbed` bool (N,)."""

    outputs: tuple[np.ndarray, ...]
    counts: np.ndarray
    disturbed: np.ndarray
    unit: str


class Device:
    """A board on `port`: a device path, a PTY or any pyserial URL. A context manager.

    Every method may raise PortVanishedError, NoReplyError and DeviceError, all of them TinyguardErrors.
    """

    def __init__(self, port: str, baud: int = DEFAULT_BAUD) -> None:
        """Opens the port; PortError when it cannot."""
        self.port = port
        self._transport = Transport(port, baud)
        self.link = Link(self._transport)
        self._description: Description | None = None
        self._settings: tuple[Setting, ...] = ()
        self._given: dict[str, tuple[int, ...]] = {}

    def __enter__(self) -> "Device":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the port; the board stays as it is."""
        self._transport.close()

    @property
    def description(self) -> Description:
        """What the board said when it was connected."""
        if self._description is None:
            raise TinyguardError(f"the board on {self.port} is not connected: call connect() first")
        return self._description

    def connect(self, expected_sha256: str | None = None, patience_s: float = 3.0) -> Description:
        """Say HELLO for up to `patience_s`, then ask for everything once.

        Raises WrongVersionError, and WrongModelError when `expected_sha256` (hex) is given and another model
        answers. An emulator takes up to a second to notice that its PTY has been opened.
        """
        for _ in range(_RESTARTS):
            try:
                self._description = hello(self.link, expected_sha256, patience_s)
            except SessionLostError:
                continue
            return self._description
        raise self._contested()

    def run(self, *inputs: np.ndarray, on_sample: Callable[[int], None] | None = None) -> Batch:
        """Integer codes (N, *sample_shape) for each input in order; see Batch.

        `on_sample` is called with the number of samples done after each.
        """
        count = self._check_batch(inputs)
        done: list[Inference] = []
        for i in range(count):
            done.append(self.infer(*(array[i] for array in inputs)))
            if on_sample is not None:
                on_sample(i + 1)
        return Batch(
            outputs=tuple(
                np.array([sample.outputs[j] for sample in done], tensor.dtype).reshape(
                    count, *tensor.sample_shape
                )
                for j, tensor in enumerate(self.description.outputs)
            ),
            counts=np.array([sample.count for sample in done], np.int64),
            disturbed=np.array([sample.disturbed for sample in done], bool),
            unit=self.description.unit,
        )

    def infer(self, *sample: np.ndarray) -> Inference:
        """One sample, an array of shape `sample_shape` for each input.

        A count that was disturbed is taken again, twice at most. A board that was reset meanwhile is said
        HELLO to and given the sample again.
        """
        blobs = self._sample_bytes(sample)
        raw = self._infer_through_resets(blobs)
        for _ in range(_RECOUNTS):
            if not raw.disturbed:
                break
            raw = self._infer_through_resets(blobs)
        return Inference(self._split_outputs(raw.data), self.description.to_unit(raw.count), raw.disturbed)

    def _infer_through_resets(self, blobs: Sequence[bytes]) -> RawInference:
        return self._through_resets(lambda: infer(self.link, self.description, blobs))

    def run_layers(self, *sample: np.ndarray) -> Iterator[LayerRun]:
        """One sample, an array of shape `sample_shape` for each input, layer by layer in execution order."""
        try:
            yield from infer_layers(self.link, self.description, self._sample_bytes(sample))
        except SessionLostError:
            raise TinyguardError(
                f"the board on {self.port} was reset between two layers: repeat the command, and if it "
                "happens again look for a weak supply"
            ) from None

    def count_layers(self, *sample: np.ndarray) -> list[int]:
        """One sample as in run_layers: the count of each layer in the board's unit, without its outputs.

        Counts that were disturbed are taken again, twice at most.
        """
        blobs = self._sample_bytes(sample)
        runs: list[RawInference] = []
        for _ in range(1 + _RECOUNTS):
            try:
                runs = count_layers(self.link, self.description, blobs)
            except SessionLostError:
                self._reconnect()
                continue
            if not any(run.disturbed for run in runs):
                break
        if not runs:
            raise self._contested()
        return [self.description.to_unit(run.count) for run in runs]

    def status(self, repaint: bool = False) -> Status:
        """Stack and line counters; `repaint` starts the stack's high-water mark anew afterwards."""
        request = STATUS_REQUEST.pack(repaint=int(repaint))
        return Status(**STATUS_REPLY.unpack(ask(self.link, Command.STATUS, request, STATUS_REPLY.size)))

    def declare(self, settings: Sequence[Setting]) -> None:
        """Say what settings the network has, before any is set or told.

        Raises TinyguardError where the board's own table is another.
        """
        self._through_resets(lambda: check_table(self.link, settings))
        self._settings = tuple(settings)

    def set(self, values: Mapping[str, int | Sequence[int]]) -> None:
        """Give values to settings in one frame, all or none; they hold until the board is reset on request.

        A board that was reset meanwhile gets them again. Raises TinyguardError for an unknown name and for a
        value out of its range.
        """
        given = checked(self._settings, values)
        if given:
            self._through_resets(lambda: set_values(self.link, self._settings, given))
            self._given.update(given)

    def can_set_at_once(self, values: Mapping[str, int | Sequence[int]]) -> bool:
        """Whether one frame holds these values. Raises as `set` does."""
        return fits_a_frame(self.link, self._settings, checked(self._settings, values))

    def tell(self, name: str) -> Told:
        """A setting's value on the board, and whether the board draws one before every inference."""
        return self._through_resets(lambda: tell(self.link, self._settings, name))

    def restore(self, *names: str) -> None:
        """Put the settings of these names, or all, back to the file's values, or to being drawn."""
        chosen = names or tuple(setting.name for setting in self._settings)
        self._through_resets(lambda: restore(self.link, self._settings, chosen))
        for name in chosen:
            self._given.pop(name, None)

    def set_baud(self, baud: int) -> bool:
        """Change the rate of both sides; False when the line does not work at it and both are back."""
        return negotiate_baud(self.link, baud)

    def reset(self) -> None:
        """Reset the board, settings too; connect() again afterwards."""
        ask(self.link, Command.RESET, b"", 0)
        self._description = None
        self._given.clear()

    def _reconnect(self) -> None:
        """HELLO again, and what this host has set: the board may have been reset."""
        before = self.description
        for _ in range(_RESTARTS):
            self.connect(before.model_sha256, patience_s=PATIENCE_S)
            if self.description.build != before.build:
                raise TinyguardError(f"the board on {self.port} now runs another build: repeat the command")
            try:
                if self._given:
                    set_values(self.link, self._settings, self._given)
            except SessionLostError:
                continue
            return
        raise self._contested()

    def _through_resets(self, action: Callable[[], T]) -> T:
        """What `action` returns, repeated after a new HELLO where the board has forgotten the session."""
        for _ in range(_RESTARTS):
            try:
                return action()
            except SessionLostError:
                self._reconnect()
        raise self._contested()

    def _check_batch(self, inputs: tuple[np.ndarray, ...]) -> int:
        self._check_input_count(inputs)
        if any(array.ndim == 0 for array in inputs):
            raise TinyguardError("an input has no batch dimension: add one in front")
        counts = {len(array) for array in inputs}
        if len(counts) != 1:
            raise TinyguardError(
                f"inputs have different numbers of samples {sorted(counts)}: give as many of each"
            )
        return counts.pop()

    def _check_input_count(self, inputs: tuple[np.ndarray, ...]) -> None:
        count = len(self.description.inputs)
        if len(inputs) != count:
            raise TinyguardError(
                f"the model on {self.port} has {count} inputs and got {len(inputs)}: give them in graph order"
            )

    def _sample_bytes(self, sample: tuple[np.ndarray, ...]) -> list[bytes]:
        self._check_input_count(sample)
        for i, (array, tensor) in enumerate(zip(sample, self.description.inputs, strict=True)):
            if array.shape != tensor.sample_shape or array.dtype != np.dtype(tensor.dtype):
                raise TinyguardError(
                    f"input {i} of the model on {self.port} is {tensor.dtype} {tensor.sample_shape} a sample "
                    f"and got {array.dtype} {array.shape}: quantize the data to codes first"
                )
        return [np.ascontiguousarray(array).tobytes() for array in sample]

    def _split_outputs(self, data: bytes) -> tuple[np.ndarray, ...]:
        outputs = []
        for tensor in self.description.outputs:
            outputs.append(tensor.from_bytes(data[: tensor.size_bytes]).reshape(tensor.sample_shape))
            data = data[tensor.size_bytes :]
        return tuple(outputs)

    def _contested(self) -> TinyguardError:
        return TinyguardError(
            f"the board on {self.port} keeps forgetting the session: close other programs that use the port, "
            "or look for a weak supply"
        )
