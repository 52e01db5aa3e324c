"""What commands that take a network and DATA share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph

if TYPE_CHECKING:
    from tinyguard.device.description import Description

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


def board_port(serial: str) -> str:
    """The port that --serial names; `auto` finds the one board that is there."""
    from tinyguard.device.ports import find_port

    return find_port().port if serial == "auto" else serial


def image_sizes(graph: Graph, port: str, description: Description) -> tuple[int | None, int | None]:
    """Flash and RAM in bytes of the image on the board at `port`, None when it was built elsewhere."""
    from tinyguard import boards
    from tinyguard.codegen import built_image
    from tinyguard.flashing import emulator_of

    emulator = emulator_of(port)
    if emulator is not None:
        return emulator.flash_bytes, emulator.ram_bytes
    if description.board not in boards.names():
        return None, None
    image = built_image(graph, boards.load(description.board), description.build)
    return (image.flash_bytes, image.ram_bytes) if image else (None, None)
