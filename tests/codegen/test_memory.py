# SPDX-License-Identifier: Apache-2.0
"""The memory plan: nothing alive is overwritten, and nothing is wasted where reuse is plain."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.codegen.networks import chain
from tests.operators.builder import GraphBuilder
from tinyguard.codegen import plan
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph
from tinyguard.operators import Operator, resolve


class _Fake(Operator):
    """An element-wise operator that may run in place on its first input."""

    scratch = 0
    view = False

    def prepare(self) -> None: ...

    def run(self, *inputs):
        raise AssertionError

    def emit(self, c):
        raise AssertionError

    @property
    def in_place(self) -> tuple[int, ...]:
        return tuple(range(len(self.inputs)))

    @property
    def is_view(self) -> bool:
        return self.view

    def scratch_bytes(self, target) -> int:
        return self.scratch


@st.composite
def networks(draw) -> tuple[Graph, list[Operator]]:
    """Random graphs of element-wise nodes, views and scratch users."""
    builder = GraphBuilder()
    alive = [
        builder.input((1, draw(st.integers(1, 400))), "int8", 1.0, 0) for _ in range(draw(st.integers(1, 2)))
    ]
    kinds = []
    for _ in range(draw(st.integers(1, 14))):
        sources = draw(st.lists(st.sampled_from(alive), min_size=1, max_size=3))
        view = draw(st.booleans()) and len(sources) == 1
        same = view or draw(st.booleans())
        shape = builder.tensors[sources[0]].shape if same else (1, draw(st.integers(1, 400)))
        alive.append(builder.node("ADD", sources, shape, "int8", 1.0, 0))
        kinds.append((view, draw(st.sampled_from([0, 0, 0, 100]))))
    outputs = draw(st.lists(st.sampled_from(alive), min_size=1, max_size=3, unique=True))
    graph = builder.graph(outputs)
    operators: list[Operator] = []
    for node, (view, scratch) in zip(graph.nodes, kinds, strict=True):
        operator = _Fake(graph, node)
        operator.view, operator.scratch = view, scratch
        operators.append(operator)
    return graph, operators


@settings(max_examples=300, deadline=None)
@given(networks())
def test_every_layer_finds_what_was_written(network):
    """Run the plan on an arena of labels: each input still holds its producer's label when read."""
    graph, operators = network
    layout = plan(graph, operators)
    arena = np.full(layout.arena_bytes, -1)
    label = {index: index for index in graph.inputs}

    def place(tensor: int) -> slice:
        offset = layout.tensor_offset[tensor]
        return slice(offset, offset + graph.tensors[tensor].size_bytes)

    for index in graph.inputs:
        arena[place(index)] = index
    for step, operator in enumerate(operators):
        for index in operator.node.inputs:
            assert (arena[place(index)] == label[index]).all(), f"layer {step} reads a lost tensor"
        if operator.scratch:
            start = layout.scratch_offset[step]
            arena[start : start + operator.scratch] = -2
            for index in operator.node.inputs:
                assert (arena[place(index)] == label[index]).all(), "scratch overwrites an input"
        target = operator.node.outputs[0]
        label[target] = label[operator.node.inputs[0]] if operator.is_view else target
        if not operator.is_view:
            arena[place(target)] = target
    for index in graph.outputs:
        assert (arena[place(index)] == label[index]).all(), "an output was overwritten"


def test_a_chain_needs_its_two_largest_neighbours():
    graph = chain(size=8, channels=(16, 16, 16))
    layout = plan(graph, resolve(graph))
    assert layout.arena_bytes == 2 * 8 * 8 * 16


def test_in_place_layers_share_one_buffer():
    builder = GraphBuilder()
    last = builder.input((1, 64), "int8", 1.0, 0)
    for _ in range(4):
        last = builder.node("ADD", [last], (1, 64), "int8", 1.0, 0)
    graph = builder.graph([last])
    layout = plan(graph, [_Fake(graph, node) for node in graph.nodes])
    assert layout.arena_bytes == 64


def test_an_output_that_is_a_constant_is_refused():
    builder = GraphBuilder()
    source = builder.input((1, 4), "int8", 1.0, 0)
    plain = builder.node("ABS", [source], (1, 4), "int8", 1.0, 0)
    values = builder.constant(np.zeros((2, 2), np.int8), scale=1.0)
    fixed = builder.node("RESHAPE", [values, builder.constant(np.array([1, 4]))], (1, 4), "int8", 1.0, 0)
    graph = builder.graph([plain, fixed])
    with pytest.raises(TinyguardError, match="is a constant that no input reaches"):
        plan(graph, resolve(graph))
