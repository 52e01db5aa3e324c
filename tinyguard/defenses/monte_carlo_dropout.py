# SPDX-License-Identifier: Apache-2.0
"""Monte Carlo dropout in a .tflite file: passes that every exact back end and the firmware carry out."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph, Node
from tinyguard.graph.answer import ENTROPY_UNITS as UNITS
from tinyguard.tflite import Metadata, read_graph, read_metadata, with_metadata
from tinyguard.tflite.record.stochastic import RATES, Stochastic, site_layers

AUTO = "auto"


def with_stochastic(model: bytes, stochastic: Stochastic | None) -> bytes:
    """The .tflite file with this Monte Carlo dropout in place of any it had; None takes it away.

    Everything else in the file is kept, and other run-times load it and ignore it. Raises TinyguardError when
    a site is not there or cannot be one, and for a network that does not end in an int8 softmax.
    """
    metadata = (read_metadata(model) or Metadata()).with_section("stochastic", stochastic)
    hardened = with_metadata(model, metadata)
    read_graph(hardened)
    return hardened


def plain_graph(model: bytes) -> Graph:
    """The network of a file without its passes, whose layers may be sites."""
    return read_graph(with_stochastic(model, None))


def find_sites(graph: Graph, wanted: Sequence[str]) -> tuple[str, ...]:
    """Names of layers from what was typed: names, parts of one name alone, numbers as `inspect` prints them.

    "auto" is the last layer that can be one: what the classifier reads, so that almost everything runs once.
    """
    known = site_layers(graph)
    if not known:
        raise TinyguardError("no int8 layer of this network can be a site")
    if list(wanted) == [AUTO]:
        return (graph.node_name(_before_logits(graph)),)
    return tuple(_find(graph, text) for text in wanted)


def _before_logits(graph: Graph) -> Node:
    """The last site that another layer with weights reads, directly or not."""
    known = site_layers(graph)
    weighted = [node for node in graph.nodes if node.operator in ("FULLY_CONNECTED", "CONV_2D")]
    last = weighted[-1].index if weighted else len(graph.nodes)
    before = [node for node in known if node.index < last]
    return (before or known)[-1]


def _find(graph: Graph, text: str) -> str:
    names = {graph.node_name(node): node for node in site_layers(graph)}
    if text in names:
        return text
    if text.isdecimal():
        for name, node in names.items():
            if node.index == int(text):
                return name
        raise TinyguardError(f"layer {text} cannot be a site: {_listing(names)}")
    matching = [name for name in names if text in name]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise TinyguardError(
            f"{len(matching)} layers have {text!r} in their names: type more of one, or its number"
        )
    close = difflib.get_close_matches(text, names, 1, 0.3)
    hint = f"did you mean {close[0]}?" if close else _listing(names)
    raise TinyguardError(f"no layer {text!r} can be a site; {hint}")


def _listing(names: dict[str, Node]) -> str:
    return "those that can: " + ", ".join(str(node.index) for node in names.values())


def dropped_of(rate: float) -> int:
    """A rate as a whole number of 1/256. Raises TinyguardError for what rounds to none, and above 1/2."""
    dropped = round(rate * RATES)
    if not 0 < dropped <= RATES // 2:
        raise TinyguardError(f"a rate of {rate:g} is not between 1/256 and 1/2: type --p 0.1")
    return dropped


def threshold_of(bits: float | None) -> int:
    """A predictive entropy in bits as the network compares it; None is never above."""
    return -1 if bits is None else round(bits * UNITS)
