"""The tinyguard record inside a .tflite file: one metadata buffer named `tinyguard` of versioned JSON.

    {"version": 1, "normalization": {"mean": [...], "std": [...]}, "class_names": [...], ...}

Sections that this version does not know are kept. A record that changes what the network computes (`filters`,
`stochastic`, `squeezing`) has version 2, so that a tinyguard that knows nothing of it refuses the file.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tinyguard.errors import TinyguardError
from tinyguard.tflite.content import read_bytes
from tinyguard.tflite.flatbuffer import Table, decode, encode
from tinyguard.tflite.record.filters import InputFilter, filter_from_json
from tinyguard.tflite.record.squeezing import Squeezing, squeezing_from_json
from tinyguard.tflite.record.stochastic import Stochastic, stochastic_from_json

RECORD_NAME = "tinyguard"
RECORD_VERSION = 2
_PLAIN_VERSION = 1
_MAX_RECORD_BYTES = 4 << 20
_MAX_PIXEL = 1e9


@dataclass(frozen=True)
class Normalization:
    """How pixels 0 to 255 become the real values the network was trained on.

    real = (pixel - mean) / std, in pixel units; one entry for all channels, or one per channel.
    A network trained on pixel / 255 has mean (0,) and std (255,).
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Metadata:
    """What a network carries beside its layers. `extra` holds the other sections of the record, as JSON."""

    version: int = _PLAIN_VERSION
    normalization: Normalization | None = None
    class_names: tuple[str, ...] | None = None
    filters: tuple[InputFilter, ...] = ()
    stochastic: Stochastic | None = None
    squeezing: Squeezing | None = None
    extra: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


def read_metadata(source: Path | bytes) -> Metadata | None:
    """The record of a .tflite file, None when it has none.

    Raises TinyguardError when the file or the record is damaged or of a later version.
    """
    try:
        model = decode(read_bytes(source))
        content = _find(model)
        return None if content is None else parse_metadata(content)
    except TinyguardError as error:
        if isinstance(source, bytes) or str(error).startswith(str(source)):
            raise
        raise TinyguardError(f"{source}: {error}") from None


def with_metadata(data: bytes, metadata: Metadata) -> bytes:
    """The same .tflite file with this record; everything else in it is kept.

    Raises TinyguardError when the file is damaged or holds parts that would be lost.
    """
    model = decode(data)
    operators = [operator for subgraph in model["subgraphs"] for operator in subgraph["operators"]]
    outside = [buffer["offset"] for buffer in model["buffers"]]
    outside += [operator["large_custom_options_offset"] for operator in operators]
    if any(offset > 1 for offset in outside):
        raise TinyguardError("cannot rewrite a file that keeps data outside the FlatBuffer; export it again")
    record = Table("Buffer", {"data": format_metadata(metadata)})
    values = dict(model.values)
    buffers, entries = list(model["buffers"]), list(model["metadata"])
    place = next((entry["buffer"] for entry in entries if entry["name"] == RECORD_NAME), None)
    if place is not None and 0 < place < len(buffers) and not _shared(model, place):
        buffers[place] = record
    else:
        entries = [entry for entry in entries if entry["name"] != RECORD_NAME]
        entries.append(Table("Metadata", {"name": RECORD_NAME, "buffer": len(buffers)}))
        buffers.append(record)
    values["buffers"], values["metadata"] = tuple(buffers), tuple(entries)
    return encode(replace(model, values=values))


def parse_metadata(content: bytes) -> Metadata:
    """The record from its JSON. Raises TinyguardError when it is malformed or of a later version."""
    if len(content) > _MAX_RECORD_BYTES:
        raise TinyguardError(f"tinyguard metadata of {len(content)} bytes is too large")
    try:
        record = json.loads(content.decode())
    except (ValueError, RecursionError):
        raise TinyguardError("tinyguard metadata is not valid JSON; quantize the model again") from None
    if not isinstance(record, dict) or type(record.get("version")) is not int or record["version"] < 1:
        raise TinyguardError("tinyguard metadata has no version; quantize the model again")
    if record["version"] > RECORD_VERSION:
        raise TinyguardError(
            f"tinyguard metadata of version {record['version']}, known is version {RECORD_VERSION}; "
            "update tinyguard"
        )
    known = ("version", "normalization", "class_names", "filters", "stochastic", "squeezing")
    return Metadata(
        record["version"],
        _normalization(record.get("normalization")),
        _class_names(record.get("class_names")),
        _filters(record.get("filters", [])),
        stochastic_from_json(record["stochastic"]) if "stochastic" in record else None,
        squeezing_from_json(record["squeezing"]) if "squeezing" in record else None,
        MappingProxyType({name: section for name, section in record.items() if name not in known}),
    )


def format_metadata(metadata: Metadata) -> bytes:
    """The record as compact JSON, the same bytes for the same record."""
    hardened = metadata.filters or metadata.stochastic or metadata.squeezing
    version = RECORD_VERSION if hardened else metadata.version
    record: dict[str, Any] = {"version": version}
    if metadata.normalization is not None:
        mean, std = metadata.normalization.mean, metadata.normalization.std
        record["normalization"] = {"mean": list(mean), "std": list(std)}
    if metadata.class_names is not None:
        record["class_names"] = list(metadata.class_names)
    if metadata.filters:
        record["filters"] = [one.as_json() for one in metadata.filters]
    if metadata.stochastic is not None:
        record["stochastic"] = metadata.stochastic.as_json()
    if metadata.squeezing is not None:
        record["squeezing"] = metadata.squeezing.as_json()
    record.update(metadata.extra)
    content = json.dumps(record, separators=(",", ":"), allow_nan=False).encode()
    parse_metadata(content)
    return content


def _find(model: Table) -> bytes | None:
    for entry in model["metadata"]:
        if entry["name"] == RECORD_NAME:
            if entry["buffer"] >= len(model["buffers"]):
                raise TinyguardError("tinyguard metadata points outside the file; quantize the model again")
            content: bytes = model["buffers"][entry["buffer"]]["data"]
            return content
    return None


def _shared(model: Table, buffer: int) -> bool:
    users = [tensor["buffer"] for subgraph in model["subgraphs"] for tensor in subgraph["tensors"]]
    users += [entry["buffer"] for entry in model["metadata"]]
    return users.count(buffer) > 1


def _normalization(section: Any) -> Normalization | None:
    if section is None:
        return None
    mean = _numbers(section.get("mean")) if isinstance(section, dict) else None
    std = _numbers(section.get("std")) if isinstance(section, dict) else None
    if mean is None or std is None or len(mean) != len(std) or not all(value > 0 for value in std):
        raise TinyguardError(
            "tinyguard metadata: normalization needs `mean` and positive `std` of one length; "
            "quantize the model again"
        )
    return Normalization(mean, std)


def _numbers(values: Any) -> tuple[float, ...] | None:
    if not isinstance(values, list) or not values:
        return None
    if not all(type(value) in (int, float) and abs(value) <= _MAX_PIXEL for value in values):
        return None
    return tuple(float(value) for value in values)


def _class_names(section: Any) -> tuple[str, ...] | None:
    if section is None:
        return None
    if not isinstance(section, list) or not all(
        isinstance(name, str) and name.isprintable() for name in section
    ):
        raise TinyguardError(
            "tinyguard metadata: class_names is not a list of printable names; quantize the model again"
        )
    return tuple(section)


def _filters(section: Any) -> tuple[InputFilter, ...]:
    if not isinstance(section, list):
        raise TinyguardError("tinyguard metadata: filters is not a list; harden the model again")
    return tuple(filter_from_json(one) for one in section)
