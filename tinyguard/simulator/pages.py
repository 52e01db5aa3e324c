# SPDX-License-Identifier: Apache-2.0
"""Memory that torch's layers free stays with the process, for the next layer to fill."""

from __future__ import annotations

import functools

import torch

_BYTES = 31 << 20  # just under DEFAULT_MMAP_THRESHOLD_MAX


@functools.cache
def keep_pages() -> None:
    """Let glibc serve blocks of up to 31 MiB from its heap, and trim that heap at twice as much.

    Both limits grow to the largest mapped block that was freed (mallopt(3), M_MMAP_THRESHOLD). Below them,
    every layer's result comes as fresh pages, whose faults take a fifth of a network's time. Elsewhere
    this allocates and frees a block, and that is all.
    """
    torch.empty(_BYTES, dtype=torch.uint8)
