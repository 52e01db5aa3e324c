# SPDX-License-Identifier: Apache-2.0
"""From a DATA argument to the codes that one network is given."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinyguard.data.codes import to_codes
from tinyguard.data.resolve import load_data
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph
from tinyguard.graph.answer import class_count, has_answer
from tinyguard.tflite import read_metadata


def read_codes(
    model: Path, graph: Graph, data: str, limit: int | None, skip: int = 0
) -> tuple[np.ndarray, np.ndarray | None]:
    """Input codes (N, *shape) and labels int64 (N,) or None that DATA gives for the network in `model`: at
    most `limit` samples, after the first `skip`.

    Raises TinyguardError for a network with several inputs, for data that do not fit it and where `skip`
    leaves no sample.
    """
    if len(graph.inputs) != 1:
        raise TinyguardError(f"{model} has {len(graph.inputs)} inputs; DATA can fill only networks with one")
    tensor = graph.tensors[graph.inputs[0]]
    metadata = read_metadata(model)
    names = metadata.class_names if metadata else None
    classes = class_count(graph) if has_answer(graph) else None
    last = None if limit is None else skip + limit
    samples = load_data(data, tensor, limit=last, class_names=names, classes=classes)
    if skip >= len(samples):
        raise TinyguardError(f"{data} has {len(samples):,} samples: none are left after the first {skip:,}")
    codes = to_codes(samples, tensor, metadata)
    return codes[skip:], None if samples.y is None else samples.y[skip:]
