# SPDX-License-Identifier: Apache-2.0
"""Removes nodes whose results nothing reads."""

from tinyguard.graph import Graph
from tinyguard.passes.draft import Draft


def remove_unread(graph: Graph) -> Graph:
    """The graph with the nodes alone that its outputs depend on."""
    wanted = set(graph.outputs)
    draft = Draft(graph)
    for position in reversed(range(len(graph.nodes))):
        node = graph.nodes[position]
        if wanted.isdisjoint(node.outputs):
            draft.remove(position)
        else:
            wanted.update(node.inputs)
    return graph if None not in draft.nodes else draft.graph()
