# SPDX-License-Identifier: Apache-2.0
""".tflite files to graphs and back, and the tinyguard metadata record inside them."""

from tinyguard.tflite.chosen_outputs import with_one_output, with_outputs
from tinyguard.tflite.metadata import Metadata, read_metadata, with_metadata
from tinyguard.tflite.reader import read_graph, survey
from tinyguard.tflite.record.normalization import Normalization
from tinyguard.tflite.writer import write_graph

__all__ = [
    "Metadata",
    "Normalization",
    "read_graph",
    "read_metadata",
    "survey",
    "with_metadata",
    "with_one_output",
    "with_outputs",
    "write_graph",
]
