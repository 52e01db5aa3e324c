# SPDX-License-Identifier: Apache-2.0
"""Layouts of the arena: sound, never worse than greedy by size, and the best where that can be counted."""

import itertools
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tinyguard.codegen.packing import ALIGNMENT, Request, aligned, least_bytes, pack


@st.composite
def requests(draw, most: int) -> list[Request]:
    found = []
    for i in range(draw(st.integers(0, most))):
        first = draw(st.integers(-1, 12))
        last = first + draw(st.sampled_from([0, 1, 1, 2, 5]))
        found.append(Request(draw(st.integers(1, 300)), first, last, (i,)))
    return found


def _end(wanted: list[Request], offsets: list[int]) -> int:
    return max((aligned(o + r.size_bytes) for o, r in zip(offsets, wanted, strict=True)), default=0)


def _in_order(wanted: list[Request], order: tuple[int, ...]) -> int:
    """Bytes of a layout placed in this order, each at the lowest multiple of 16 that is free."""
    placed: list[tuple[Request, int]] = []
    for i in order:
        request, offset = wanted[i], 0
        while any(
            other.first <= request.last
            and request.first <= other.last
            and offset < place + other.size_bytes
            and place < offset + request.size_bytes
            for other, place in placed
        ):
            offset += ALIGNMENT
        placed.append((request, offset))
    return max((aligned(o + r.size_bytes) for r, o in placed), default=0)


@settings(max_examples=200, deadline=None)
@given(requests(12))
def test_layouts_are_sound_and_no_worse_than_greedy(wanted):
    offsets = pack(wanted)
    assert all(offset % ALIGNMENT == 0 for offset in offsets)
    for (a, p), (b, q) in itertools.combinations(zip(wanted, offsets, strict=True), 2):
        together = a.first <= b.last and b.first <= a.last
        assert not together or p + a.size_bytes <= q or q + b.size_bytes <= p
    by_size = sorted(range(len(wanted)), key=lambda i: (-wanted[i].size_bytes, wanted[i].first, i))
    assert least_bytes(wanted) <= _end(wanted, offsets) <= _in_order(wanted, tuple(by_size))
    assert pack(wanted) == offsets


@settings(max_examples=60, deadline=None)
@given(requests(5))
def test_few_buffers_are_laid_out_the_best_way(wanted):
    best = min(_in_order(wanted, order) for order in itertools.permutations(range(len(wanted))))
    assert _end(wanted, pack(wanted)) == best


def test_the_walk_finds_what_greedy_misses():
    rng = random.Random(3)
    found = greedy = least = 0
    for _ in range(20):
        wanted = []
        for i in range(30):
            first = rng.randrange(30)
            last = first + rng.choice([0, 1, 2, 5, 12])
            wanted.append(Request(16 * rng.randrange(1, 200), first, last, (i,)))
        by_size = sorted(range(30), key=lambda i: (-wanted[i].size_bytes, wanted[i].first, i))
        found += _end(wanted, pack(wanted))
        greedy += _in_order(wanted, tuple(by_size))
        least += least_bytes(wanted)
    assert found - least < (greedy - least) / 10
