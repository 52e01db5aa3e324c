# SPDX-License-Identifier: Apache-2.0
"""A byte stream to a board over a serial port, a PTY or any pyserial URL."""

import os
import select
import time
from typing import Any

import serial

from tinyguard.device.failures import PortError, PortVanishedError

DEFAULT_BAUD = 115200
_READ_BYTES = 1 << 16


class Transport:
    """Opens the port for itself alone. Reads and writes go to the file descriptor where there is one."""

    def __init__(self, port: str, baud: int = DEFAULT_BAUD) -> None:
        self.port = port
        options: dict[str, Any] = {} if "://" in port else {"exclusive": True}
        try:
            self._serial = serial.serial_for_url(port, baudrate=baud, timeout=0, write_timeout=1, **options)
        except (serial.SerialException, OSError, ValueError) as error:
            raise PortError(_opening_failed(port, error)) from None
        self._poll: select.poll | None = None
        try:
            self._descriptor = self._serial.fileno()
            os.set_blocking(self._descriptor, False)
            self._poll = select.poll()
        except (AttributeError, OSError):
            pass

    @property
    def baud(self) -> int:
        return int(self._serial.baudrate)

    @baud.setter
    def baud(self, baud: int) -> None:
        try:
            self._serial.baudrate = baud
        except (serial.SerialException, OSError, ValueError):
            raise PortError(f"port {self.port} cannot run at {baud} baud: choose another rate") from None

    def close(self) -> None:
        self._serial.close()

    def read(self, timeout_s: float) -> bytes:
        """What has arrived, waiting up to `timeout_s` for a first byte; empty when nothing came."""
        try:
            if self._poll is None:
                self._serial.timeout = max(timeout_s, 0)
                first = self._serial.read(1)
                return bytes(first + self._serial.read(self._serial.in_waiting)) if first else b""
            if not self._ready(select.POLLIN, timeout_s):
                return b""
            data = os.read(self._descriptor, _READ_BYTES)
        except BlockingIOError:
            return b""
        except (OSError, serial.SerialException):
            raise PortVanishedError(self.port) from None
        if not data:
            raise PortVanishedError(self.port)
        return data

    def write(self, data: bytes, timeout_s: float) -> bytes:
        """Send all, or as much as the other side takes within `timeout_s`; returns what arrived meanwhile.

        An incomplete frame does no harm: the next one starts with a delimiter.
        """
        try:
            if self._poll is None:
                self._serial.write(data)
                return b""
            return self._write_descriptor(data, time.monotonic() + timeout_s)
        except serial.SerialTimeoutException:
            return b""
        except (OSError, serial.SerialException):
            raise PortVanishedError(self.port) from None

    def _write_descriptor(self, data: bytes, deadline: float) -> bytes:
        arrived = bytearray()
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                if self._ready(select.POLLIN | select.POLLOUT, left) & select.POLLIN:
                    arrived += os.read(self._descriptor, _READ_BYTES)
        return bytes(arrived)

    def _ready(self, events: int, timeout_s: float) -> int:
        assert self._poll is not None
        self._poll.register(self._descriptor, events)
        ready = self._poll.poll(max(timeout_s, 0) * 1000)
        return ready[0][1] if ready else 0


def _opening_failed(port: str, error: Exception) -> str:
    text = str(error).lower()
    if "busy" in text or "lock" in text or "temporarily unavailable" in text:
        return f"port {port} is in use by another program: close it and try again"
    if "permission" in text:
        return f"no permission to open port {port}: type sudo usermod -aG dialout $USER and log in again"
    if "no such file" in text or "filenotfound" in text:
        return f"there is no port {port}: tinyguard ports lists those there are"
    return f"port {port} cannot be opened ({text}): tinyguard ports lists those there are"
