# SPDX-License-Identifier: Apache-2.0
"""Removes channels whose value no later layer reads, or whose value is a constant that later biases take.

A channel of a convolution with weights that are all zero holds one code, clamp(requantize(bias)). That
code times the next layer's weights is a constant of its accumulators: it goes into the bias and the
channel away, through depthwise convolutions, pooling, additions and concatenations alike. Next to
padding the constant is another one unless the code is the zero point, so that such channels stay.
"""

from tinyguard.graph import Graph
from tinyguard.operators import resolve
from tinyguard.passes.channel_removal import remove
from tinyguard.passes.liveness import liveness
from tinyguard.passes.ranges import ranges


def eliminate_dead_channels(graph: Graph, multiple: int = 1) -> Graph:
    """The graph without the channels that do not matter; its outputs are the same in every byte.

    With `multiple` above 1, layers keep dead channels, with weights of zero, up to a multiple of it
    where they have them.
    """
    operators = resolve(graph)
    spans = ranges(graph, operators)
    live = liveness(graph, operators, spans, multiple)
    return graph if live.kept.all() else remove(graph, operators, spans, live)
