# SPDX-License-Identifier: Apache-2.0
"""Input filters in a .tflite file: every back end and the firmware put them before the first layer."""

from __future__ import annotations

from collections.abc import Sequence

from tinyguard.errors import TinyguardError
from tinyguard.tflite import Metadata, read_graph, read_metadata, with_metadata
from tinyguard.tflite.record.filters import InputFilter


def with_filters(model: bytes, filters: Sequence[InputFilter]) -> bytes:
    """The .tflite file with these filters, in this order, in place of any it had; none takes them away.

    Everything else in the file is kept, and other run-times load it and ignore them. Raises TinyguardError
    when a filter does not fit the network's input.
    """
    metadata = (read_metadata(model) or Metadata()).with_section("filters", tuple(filters) or None)
    hardened = with_metadata(model, metadata)
    read_graph(hardened)
    return hardened


def filters_in(model: bytes) -> tuple[InputFilter, ...]:
    """The input filters of a .tflite file. Raises TinyguardError when its metadata is damaged."""
    metadata = read_metadata(model)
    return metadata.filters if metadata else ()


def check_new(model: bytes, where: str) -> None:
    """Raise TinyguardError where a file has filters, which new ones would silently push out."""
    there = filters_in(model)
    if there:
        raise TinyguardError(
            f"{where} has the input filters {', '.join(map(str, there))}: type --replace to put others in "
            "their place"
        )
