# SPDX-License-Identifier: Apache-2.0
"""Graphs whose outputs alone matter."""

from __future__ import annotations

import math
from dataclasses import replace
from types import MappingProxyType

from tests.operators.builder import GraphBuilder
from tinyguard.graph import Graph


def network(*shapes: tuple[int, ...], function: str = "RELU", dtype: str = "int8") -> Graph:
    """A graph with an output of each shape, every one written by `function`."""
    builder = GraphBuilder()
    outputs = []
    for shape in shapes:
        source = builder.input((1, math.prod(shape)), dtype, 1 / 256, -128 if dtype == "int8" else 0)
        outputs.append(
            builder.node(function, [source], shape, dtype, 1 / 256, -128 if dtype == "int8" else 0)
        )
    return builder.graph(outputs)


def stated(graph: Graph, *roles: str | None) -> Graph:
    """The graph whose outputs are said to have these roles; None leaves one unsaid."""
    named = {index: role for index, role in zip(graph.outputs, roles, strict=True) if role is not None}
    return replace(graph, roles=MappingProxyType(named))
