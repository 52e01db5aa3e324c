# SPDX-License-Identifier: Apache-2.0
"""DATA arguments: files, folders and built-in names, and the way from them to the network's input codes."""

from tinyguard.data.codes import dequantized, quantized, real_values, to_codes
from tinyguard.data.named import NAMES, load_named, shared_folder
from tinyguard.data.pixel_normalization import PRESETS, normalized
from tinyguard.data.resolve import load_data
from tinyguard.data.samples import Samples
from tinyguard.data.shares import Shares, shares_of

__all__ = [
    "NAMES",
    "PRESETS",
    "Samples",
    "Shares",
    "dequantized",
    "load_data",
    "load_named",
    "normalized",
    "quantized",
    "real_values",
    "shared_folder",
    "shares_of",
    "to_codes",
]
