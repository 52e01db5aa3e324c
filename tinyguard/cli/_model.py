"""What commands that take a network and DATA share."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph

model_argument = click.argument("model", type=click.Path(path_type=Path))


def read_codes(
    model: Path, graph: Graph, data: str, limit: int | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Input codes (N, *shape) and labels (N,) or None that a DATA argument gives for the network."""
    from tinyguard.data import load_data, to_codes
    from tinyguard.tflite import read_metadata

    if len(graph.inputs) != 1:
        raise TinyguardError(f"{model} has {len(graph.inputs)} inputs; DATA can fill only networks with one")
    tensor = graph.tensors[graph.inputs[0]]
    metadata = read_metadata(model)
    names = metadata.class_names if metadata else None
    classes = graph.tensors[graph.outputs[0]].elements
    samples = load_data(data, tensor, limit=limit, class_names=names, classes=classes)
    return to_codes(samples, tensor, metadata), samples.y
