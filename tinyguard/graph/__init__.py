"""What a network is: tensors, nodes, a graph, and the settings that may change at run time."""

from tinyguard.graph.graph import DTYPE_BYTES, Graph, Node, Quantization, Tensor, sample_shape
from tinyguard.graph.settings import Setting, with_settings

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
