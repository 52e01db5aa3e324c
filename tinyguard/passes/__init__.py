# SPDX-License-Identifier: Apache-2.0
"""Rewrites Graph -> Graph that keep every byte of every output. One file each; `PASSES` lists them.

A pass returns the graph itself where it has nothing to do. Tensors keep their indices and names, so
that layers keep theirs; options that no .tflite file has (padding "EXPLICIT", clamp_low and
clamp_high) stay inside: a rewritten graph is compiled or simulated, never written to a file.
"""

import functools
from collections.abc import Callable

from tinyguard.graph import Graph
from tinyguard.passes.activations import fold_activations
from tinyguard.passes.constants import fold_constants
from tinyguard.passes.dead_channels import eliminate_dead_channels
from tinyguard.passes.padding import fold_padding
from tinyguard.passes.trimming import trim_windows
from tinyguard.passes.unread import remove_unread
from tinyguard.passes.views import collapse_reshapes, remove_identities

__all__ = [
    "PASSES",
    "collapse_reshapes",
    "eliminate_dead_channels",
    "fold_activations",
    "fold_constants",
    "fold_padding",
    "optimize",
    "remove_identities",
    "remove_unread",
    "trim_windows",
]

Pass = Callable[[Graph], Graph]

PASSES: tuple[Pass, ...] = (
    remove_unread,
    fold_constants,
    remove_identities,
    collapse_reshapes,
    fold_activations,
    fold_padding,
    trim_windows,
    eliminate_dead_channels,
)


def optimize(graph: Graph, multiple: int = 1) -> Graph:
    """All passes, until none finds anything more.

    With `multiple` above 1, layers that lose channels keep dead ones up to a multiple of it. Raises
    TinyguardError on unsupported operators.
    """
    before = None
    while before is not graph:
        before = graph
        for apply in PASSES:
            if apply is eliminate_dead_channels:
                apply = functools.partial(eliminate_dead_channels, multiple=multiple)
            graph = apply(graph)
    return graph
