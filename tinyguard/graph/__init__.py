# SPDX-License-Identifier: Apache-2.0
"""What a network is: tensors, nodes, a graph, and the settings that may change at run time."""

from tinyguard.graph.graph import DTYPE_BYTES, Graph, Node, Quantization, Tensor, sample_shape, with_settings
from tinyguard.graph.settings import Setting

__all__ = [
    "DTYPE_BYTES",
    "Graph",
    "Node",
    "Quantization",
    "Setting",
    "Tensor",
    "sample_shape",
    "with_settings",
]
