# SPDX-License-Identifier: Apache-2.0
"""Random networks for passes to find something in: pruned channels, padding, lone clamps, idle nodes."""

from dataclasses import replace

import numpy as np

from tests.operators.cases._sums import draw_sums
from tests.passes.steps import STEPS, Network, bias_types
from tinyguard.graph import Graph

_LARGEST_TENSOR = 3000  # elements
_SUMS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")


def _head(n: Network) -> None:
    """Mean or flattening, then one or two fully connected layers."""
    x = n.tensor()
    if n.chance(0.5):
        shape = (1, x.shape[3])
        scale = x.scale * 0.7
        axes = n.numbers(1, 2)
        n.last = n.builder.node(
            "MEAN", [x.index, axes], shape, n.dtype, scale, n.zero_point(), keep_dims=False
        )
    else:
        n.place("RESHAPE", [x.index, n.numbers(1, x.elements)], (1, x.elements), new_shape=[1, x.elements])
    for _ in range(int(n.rng.integers(1, 3))):
        x, channels = n.tensor(), int(n.rng.integers(2, 7))
        sums = draw_sums(n.builder, n.rng, x.index, (channels, x.shape[1]), bias_dtypes=bias_types(n))
        n.last = n.builder.node(
            "FULLY_CONNECTED",
            [x.index, *sums.inputs],
            (1, channels),
            n.dtype,
            sums.output_scale,
            n.zero_point(),
            fused_activation_function=str(n.rng.choice(["NONE", "RELU"])),
        )


def draw_network(rng: np.random.Generator, scheme: str) -> Graph:
    """4 to 12 random layers, and mostly a head; then pruned."""
    n = Network(rng, scheme)
    weights = np.array([weight for _, weight in STEPS])
    for _ in range(int(rng.integers(4, 13))):
        tensors, nodes, last = len(n.builder.tensors), len(n.builder.nodes), n.last
        STEPS[int(rng.choice(len(STEPS), p=weights / weights.sum()))][0](n)
        scale = n.tensor().scale
        if n.tensor().elements > _LARGEST_TENSOR or not 1e-8 < scale < 1e6:
            del n.builder.tensors[tensors:], n.builder.nodes[nodes:]
            n.last = last
    if n.chance(0.8) or not n.builder.nodes:
        _head(n)
    outputs = [n.last]
    computed = [node.outputs[0] for node in n.builder.nodes]
    if n.chance(0.15):
        outputs = list(dict.fromkeys([*outputs, int(rng.choice(computed))]))
    return prune(n.builder.graph(outputs), rng)


def prune(graph: Graph, rng: np.random.Generator) -> Graph:
    """The graph with channels of random layers taken to zero weights, or read with zero weights.

    What a pruned channel holds is the zero point, another code, or whatever its bias makes of it.
    """
    tensors = list(graph.tensors)
    for node in graph.nodes:
        if node.operator not in _SUMS or rng.random() < 0.45:
            continue
        slot = 3 if node.operator == "TRANSPOSE_CONV" else 2
        axis = 3 if node.operator == "DEPTHWISE_CONV_2D" else 0
        weights = tensors[node.inputs[1]]
        assert weights.data is not None
        values = np.moveaxis(weights.data.copy(), axis, 0)
        outputs = rng.random(len(values)) < rng.choice([0.2, 0.5, 0.9, 1.0], p=[0.5, 0.38, 0.1, 0.02])
        values[outputs] = 0
        if axis == 0 and rng.random() < 0.5:
            values[..., rng.random(values.shape[-1]) < 0.4] = 0
        tensors[weights.index] = replace(weights, data=np.ascontiguousarray(np.moveaxis(values, 0, axis)))
        if len(node.inputs) > slot:
            bias = tensors[node.inputs[slot]]
            assert bias.data is not None
            held = bias.data.copy()
            kind = rng.choice(["zero", "negative", "as it is", "mixed"])
            if kind != "as it is":
                chosen = outputs if kind != "mixed" else outputs & (rng.random(len(outputs)) < 0.5)
                held[chosen] = -np.abs(held[chosen]) if kind == "negative" else 0
            tensors[bias.index] = replace(bias, data=held)
    return replace(graph, tensors=tuple(tensors))
