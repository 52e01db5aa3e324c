""".tflite files to graphs and back, and the tinyguard metadata record inside them."""

from tinyguard.tflite.reader import read_graph, survey
from tinyguard.tflite.writer import write_graph

__all__ = ["read_graph", "survey", "write_graph"]
