# SPDX-License-Identifier: Apache-2.0
"""The exits of a .tflite file: what it says of them, and the file with other words."""

from __future__ import annotations

from tinyguard.graph.multi_exit import check_exits
from tinyguard.tflite import Metadata, read_graph, read_metadata, with_metadata
from tinyguard.tflite.record.exits import Exits


def exits_in(model: bytes) -> Exits:
    """What the record says. Raises TinyguardError for a file without exits and for a damaged one."""
    metadata = read_metadata(model)
    if metadata is None or metadata.exits is None:
        check_exits(read_graph(model))
    assert metadata is not None
    assert metadata.exits is not None
    return metadata.exits


def with_exits(model: bytes, exits: Exits | None) -> bytes:
    """The .tflite file with these exits in place of any it had; None takes them away, and leaves a network
    with several outputs.

    Everything else in the file is kept, and other run-times load it and ignore them. Raises TinyguardError
    where the network cannot have them.
    """
    metadata = (read_metadata(model) or Metadata()).with_section("exits", exits)
    changed = with_metadata(model, metadata)
    read_graph(changed)
    return changed
