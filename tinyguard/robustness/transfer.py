# SPDX-License-Identifier: Apache-2.0
"""The networks that transfer attacks are crafted on: the float source, or several surrogates at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tinyguard.attacks.space import Space, space_of
from tinyguard.attacks.surrogates import EnsembleVictim
from tinyguard.attacks.victim import FloatVictim, IntegerVictim
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph
from tinyguard.graph.answer import class_count, has_answer, listing
from tinyguard.tflite import read_graph, read_metadata
from tinyguard.tflite.metadata import Normalization

Source = FloatVictim | EnsembleVictim


def open_sources(
    sources: Sequence[str], graph: Graph, normalization: Normalization | None, batch_size: int
) -> Source:
    """Victims on [0, 1] pixels for `graph`, off the grid: one float network, or the mean of several.

    A source is a float network as `open_float_source` takes it, or a `.tflite` file with integer inputs.
    Raises TinyguardError for sources that cannot be read or take other inputs.
    """
    space = space_of(graph.tensors[graph.inputs[0]], normalization, "none")
    members = [_open(source, graph, normalization, space, batch_size) for source in sources]
    if len(members) == 1 and isinstance(members[0], FloatVictim):
        return members[0]
    return EnsembleVictim(members, space, batch_size=batch_size)


def _open_float(
    source: str, graph: Graph, normalization: Normalization | None, space: Space, batch_size: int
) -> FloatVictim:
    from tinyguard.sources.float_source import open_float_source

    tensor, classes = graph.tensors[graph.inputs[0]], class_count(graph)
    opened = open_float_source(source, graph, normalization)
    # real = scale * (code - zero point) and [0, 1] pixel = offset + step * code
    gain = tensor.scale / space.code_step
    bias = -gain * space.code_offset - tensor.scale * tensor.zero_point
    return FloatVictim(opened.logits, space, classes, gain, bias, batch_size)


def seen_through(victim: FloatVictim, space: Space) -> FloatVictim:
    """The same float network, shown only what `space` lets through."""
    return FloatVictim(victim.network, space, victim.classes, victim.gain, victim.bias, victim.batch_size)


def _open(
    source: str, graph: Graph, normalization: Normalization | None, space: Space, batch_size: int
) -> FloatVictim | IntegerVictim:
    if not source.endswith(".tflite"):
        return _open_float(source, graph, normalization, space, batch_size)
    from tinyguard.simulator.network import Simulator

    other, metadata = read_graph(Path(source)), read_metadata(Path(source))
    if not has_answer(other):
        raise TinyguardError(f"surrogate {source}: {listing(other)}: give a file with one output of classes")
    tensor = other.tensors[other.inputs[0]]
    own = metadata.normalization if metadata else None
    victim = IntegerVictim(Simulator(other, batch_size), space_of(tensor, own), batch_size=batch_size)
    if victim.classes != class_count(graph):
        raise TinyguardError(f"{source} has {victim.classes} classes: name a network of the same task")
    return victim
