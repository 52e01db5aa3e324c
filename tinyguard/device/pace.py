# SPDX-License-Identifier: Apache-2.0
"""How long to wait for a reply, and how much to send at a time."""

from collections.abc import Hashable

from tinyguard.device.protocol import CHUNK_MIN

_BITS_PER_BYTE = 10
_MARGIN_S = 0.010
_INFERENCE_MARGIN_S = 0.030
_FIRST_S = 0.15
_FIRST_INFERENCE_S = 1.0
_BACK_OFF = 1.6
_OUTLIER = 4
_LONGEST_S = 0.5
_LONGEST_INFERENCE_S = 10.0


class Patience:
    """Time-outs from the latencies seen, one estimate for each kind of request (Jacobson, 1988)."""

    def __init__(self) -> None:
        self._estimates: dict[Hashable, tuple[float, float]] = {}

    def wire_s(self, byte_count: int, baud: int) -> float:
        """Time that the bytes take on a serial line."""
        return byte_count * _BITS_PER_BYTE / baud

    def latency_s(self, kind: Hashable) -> float | None:
        """Beside the time on the wire; None before the first answer."""
        return self._estimates[kind][0] if kind in self._estimates else None

    def timeout_s(self, kind: Hashable, inference: bool, silences: int) -> float:
        """Beside the time on the wire, after `silences` attempts that nothing followed."""
        first, margin, longest = (
            (_FIRST_INFERENCE_S, _INFERENCE_MARGIN_S, _LONGEST_INFERENCE_S)
            if inference
            else (_FIRST_S, _MARGIN_S, _LONGEST_S)
        )
        if kind in self._estimates:
            latency, deviation = self._estimates[kind]
            first = latency + 4 * deviation + margin
            longest = max(_LONGEST_S, 2 * first)
        return min(first * _BACK_OFF**silences, max(first, longest))

    def learn(self, kind: Hashable, latency_s: float) -> None:
        """One round trip, its time on the wire taken off."""
        latency_s = max(latency_s, 0.0)
        if kind not in self._estimates:
            self._estimates[kind] = (latency_s, latency_s / 2)
            return
        latency, deviation = self._estimates[kind]
        latency_s = min(latency_s, _OUTLIER * (latency + _MARGIN_S))
        deviation += (abs(latency_s - latency) - deviation) / 4
        self._estimates[kind] = (latency + (latency_s - latency) / 8, deviation)


class ChunkSize:
    """Halved when a request fails twice, doubled after a run of clean ones."""

    CLEAN_RUN = 8

    def __init__(self, longest: int) -> None:
        self.longest = longest
        self.bytes = longest
        self._clean = 0
        self._heard = True

    def succeeded(self, attempts: int) -> None:
        self._heard = True
        self._clean = self._clean + 1 if attempts == 1 else 0
        if self._clean >= self.CLEAN_RUN:
            self.bytes = min(2 * self.bytes, self.longest)
            self._clean = 0

    def failed(self, data_bytes: int, attempts: int, heard: bool) -> bool:
        """Whether a request with `data_bytes` should be given up for a smaller one.

        An outage, where nothing at all is heard, says nothing about the size: it costs one halving at most.
        """
        self._clean = 0
        self._heard = self._heard or heard
        if attempts >= 2 and data_bytes <= self.bytes and data_bytes > CHUNK_MIN and self._heard:
            self.bytes = max(CHUNK_MIN, min(self.bytes, data_bytes) // 2)
            self._heard = heard
        return data_bytes > self.bytes
