# SPDX-License-Identifier: Apache-2.0
"""Offsets for buffers with sizes and lifetimes, so that those alive together never share bytes.

Placing the buffers one after the other at the lowest free offset finds the best layout for some order
of them (that by the best layout's own offsets). So orders are searched: by size, by lifetime, by
conflict, then by a seeded walk of small changes, until the bytes alive at once leave nothing to gain.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

ALIGNMENT = 16
_STEPS = 400  # of the walk: counted, not timed, so that the same graph gives the same image


@dataclass(frozen=True)
class Request:
    """`size_bytes` from step `first` to step `last`, both included. `tensors` tell buffers apart."""

    size_bytes: int
    first: int
    last: int
    tensors: tuple[int, ...] = ()


def aligned(size: int) -> int:
    """The size up to where the next buffer may begin."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def least_bytes(requests: Sequence[Request]) -> int:
    """Most bytes that are alive at once: no layout takes less."""
    steps = {request.first for request in requests}
    return max((_alive_bytes(requests, step) for step in steps), default=0)


def _alive_bytes(requests: Sequence[Request], step: int) -> int:
    return sum(aligned(r.size_bytes) for r in requests if r.first <= step <= r.last)


def pack(requests: Sequence[Request]) -> list[int]:
    """An offset for each request, a multiple of ALIGNMENT; as few bytes in all as was found."""
    conflicts = [
        [j for j, b in enumerate(requests) if j != i and a.first <= b.last and b.first <= a.last]
        for i, a in enumerate(requests)
    ]
    packing = _Packing(requests, conflicts)
    least = least_bytes(requests)
    best, best_end = [0] * len(requests), -1
    for key in _keys(requests, conflicts):
        offsets, end = packing.place(sorted(range(len(requests)), key=key))
        if best_end < 0 or end < best_end:
            best, best_end = offsets, end
        if best_end <= least:
            return best
    return packing.walk(best, best_end, least)


def _keys(
    requests: Sequence[Request], conflicts: Sequence[Sequence[int]]
) -> list[Callable[[int], tuple[int, ...]]]:
    """Orders to try, greedy by size first."""
    beside = [sum(requests[j].size_bytes for j in others) for others in conflicts]

    def span(i: int) -> int:
        return requests[i].last - requests[i].first + 1

    def last(i: int) -> tuple[int, ...]:
        return (requests[i].first, *requests[i].tensors)

    return [
        lambda i: (-requests[i].size_bytes, *last(i)),
        lambda i: (-span(i), -requests[i].size_bytes, *last(i)),
        lambda i: (-span(i) * requests[i].size_bytes, *last(i)),
        lambda i: (-beside[i] - requests[i].size_bytes, -requests[i].size_bytes, *last(i)),
        lambda i: (-len(conflicts[i]), -requests[i].size_bytes, *last(i)),
        lambda i: last(i),
        lambda i: (-requests[i].last, -requests[i].size_bytes, *last(i)),
    ]


@dataclass(frozen=True)
class _Packing:
    requests: Sequence[Request]
    conflicts: Sequence[Sequence[int]]

    def place(self, order: Sequence[int]) -> tuple[list[int], int]:
        """Offsets by request, and where the last byte ends."""
        offsets = [-1] * len(self.requests)
        end = 0
        for i in order:
            size, offset = self.requests[i].size_bytes, 0
            taken = sorted(
                (offsets[j], offsets[j] + self.requests[j].size_bytes)
                for j in self.conflicts[i]
                if offsets[j] >= 0
            )
            for start, stop in taken:
                if offset + size <= start:
                    break
                offset = max(offset, aligned(stop))
            offsets[i] = offset
            end = max(end, aligned(offset + size))
        return offsets, end

    def walk(self, offsets: list[int], end: int, least: int) -> list[int]:
        """Move one buffer in the order at a time, and keep what is no worse."""
        rng = random.Random(0)
        order = sorted(range(len(offsets)), key=lambda i: (offsets[i], i))
        for _ in range(_STEPS):
            if end <= least:
                break
            # A buffer at the top has to come down; now and then another makes room for it.
            top = [k for k, i in enumerate(order) if aligned(offsets[i] + self.requests[i].size_bytes) == end]
            source = rng.choice(top) if rng.random() < 0.5 else rng.randrange(len(order))
            changed = [*order[:source], *order[source + 1 :]]
            changed.insert(rng.randrange(len(order)), order[source])
            found, reached = self.place(changed)
            if reached <= end:
                order, offsets, end = changed, found, reached
        return offsets
