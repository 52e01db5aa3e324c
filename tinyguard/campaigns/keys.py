# SPDX-License-Identifier: Apache-2.0
"""What a piece's result depends on, as the name under which it is kept.

A key is WHAT-CODE: a hash of the network, the samples and the attack with its parameters, and one of the code
that works on them (`piece_code`). So results of the same work by other code can be told from other work.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from tinyguard import operators, plugins
from tinyguard.campaigns.cell import Piece, attack_of, codes_of
from tinyguard.campaigns.piece_code import piece_code
from tinyguard.campaigns.study import NetworkEntry
from tinyguard.robustness.threat_model import parameters_of

_WEIGHTS = (".npz", ".npy", ".pt", ".pth", ".safetensors", ".h5", ".keras")
_WHAT, _CODE = 20, 12  # hexadecimal digits


def key_of(piece: Piece) -> str:
    """WHAT: the network's bytes, the versions of other packages that have a part in it, the samples, the
    attack with all its parameters, and what is inherited. CODE: see `piece_code`."""
    cell = piece.cell
    codes, labels = codes_of(cell.network, piece.data, piece.limit)
    part = slice(piece.start, piece.stop)
    said = {
        "network": {**_conditions(cell.network), "model": _digest(Path(cell.network.model))},
        "source": source_digest(cell.network),
        "attack": [cell.entry.attack, parameters_of(attack_of(cell)), cell.setting, cell.eps],
        "targeted": cell.entry.targeted,
        "seed": piece.seed,
        "range": [piece.start, piece.stop],
        "after": None if piece.after is None else what_of(piece.after),
    }
    if cell.check:
        said["check"] = True
    if packages := _packages(cell.network.model):
        said["packages"] = packages
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    digest.update(codes[part].tobytes() + labels[part].tobytes())
    return f"{digest.hexdigest()[:_WHAT]}-{piece_code(cell)[:_CODE]}"


def what_of(key: str) -> str:
    """The part of a key that the code has no part in."""
    return key.partition("-")[0]


def _packages(model: str) -> dict[str, str]:
    """The packages whose sections and operators the network at `model` needs, with their versions."""
    from tinyguard.tflite import read_graph, read_metadata, record

    if not plugins.brought():
        return {}
    metadata = read_metadata(Path(model))
    sections = [] if metadata is None else [record.registry()[name] for name in metadata.requires]
    layers = {node.operator for node in read_graph(Path(model)).nodes}
    known = operators.registry()
    return plugins.packages_of([*sections, *(known[name] for name in layers if name in known)])


def _conditions(network: NetworkEntry) -> dict[str, Any]:
    """What is said of a network besides its bytes, which hold its defenses. What is usual is not said: a new
    field leaves the keys of older studies as they are."""
    said = {**asdict(network), "name": "", "source": ""}
    usual = {
        "masks": None,
        "filter_gradient": "smooth",
        "detector": "aware",
        "purifier": None,
        "output": None,
        "on": None,
        "keep_answer": False,
    }
    if network.purifier is not None:
        said["purifier"]["pixel_cnn"] = _digest(Path(network.purifier.pixel_cnn))
    elsewhere = {"undefended", "hardening", *(key for key, value in usual.items() if said[key] == value)}
    return {key: value for key, value in said.items() if key not in elsewhere}


def source_digest(network: NetworkEntry) -> str | None:
    """Names the float source by the bytes of its file and, for file.py:function, by the function and the
    weights beside the file, which it may load."""
    if network.source is None:
        return None
    file, colon, function = network.source.partition(":")
    beside = sorted(path for path in Path(file).parent.iterdir() if path.suffix in _WEIGHTS) if colon else []
    return ":".join([_digest(Path(file)), function, *map(_digest, beside)])


@lru_cache(maxsize=64)
def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else str(path)
