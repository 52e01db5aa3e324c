# SPDX-License-Identifier: Apache-2.0
"""The tinyguard record inside a .tflite file: one metadata buffer named `tinyguard` of versioned JSON.

    {"version": 1, "normalization": {"mean": [...], "std": [...]}, "class_names": [...], ...}
    {"version": 3, "requires": ["filters"], "class_names": [...], "filters": [...], ...}

What a section says is in `record/NAME.py`. A record with sections that change what the network computes has
version 3 and names them in `requires`, so that a tinyguard that lacks one refuses the file; version 2 only
says that there may be such sections. Other sections that are not known here are kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from tinyguard.errors import TinyguardError, unknown
from tinyguard.tflite.content import read_bytes
from tinyguard.tflite.flatbuffer import Table, decode, encode
from tinyguard.tflite.record import RESERVED, in_order, registry
from tinyguard.tflite.record.exits import Exits
from tinyguard.tflite.record.filters import InputFilter
from tinyguard.tflite.record.normalization import Normalization
from tinyguard.tflite.record.outputs import Roles
from tinyguard.tflite.record.squeezing import Squeezing
from tinyguard.tflite.record.stochastic import Stochastic
from tinyguard.tflite.support import shortened

RECORD_NAME = "tinyguard"
RECORD_VERSION = 3
_PLAIN_VERSION = 1
_MAX_RECORD_BYTES = 4 << 20


@dataclass(frozen=True)
class Metadata:
    """What a network carries beside its layers.

    `sections` has the values of the sections that are known here, by name; `extra` the other sections of the
    record, as JSON.
    """

    sections: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    extra: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, **sections: Any) -> Self:
        """The record of these sections, without those that are None."""
        record = cls()
        for name, value in sections.items():
            record = record.with_section(name, value)
        return record

    def with_section(self, name: str, value: Any) -> Self:
        """The record with this section in place of any it had; None takes it away."""
        if name not in registry():
            raise unknown("section", name, registry())
        rest = {known: said for known, said in self.sections.items() if known != name}
        return replace(self, sections=MappingProxyType(rest if value is None else {**rest, name: value}))

    @property
    def requires(self) -> tuple[str, ...]:
        """Names of the sections that change what the network computes, in the order of their layers."""
        return tuple(section.name for section in in_order(self.sections) if section.computes)

    @property
    def version(self) -> int:
        """The number of the record when it is written."""
        return RECORD_VERSION if self.requires else _PLAIN_VERSION

    @property
    def normalization(self) -> Normalization | None:
        return self.sections.get("normalization")

    @property
    def class_names(self) -> tuple[str, ...] | None:
        return self.sections.get("class_names")

    @property
    def filters(self) -> tuple[InputFilter, ...]:
        return self.sections.get("filters", ())

    @property
    def stochastic(self) -> Stochastic | None:
        return self.sections.get("stochastic")

    @property
    def squeezing(self) -> Squeezing | None:
        return self.sections.get("squeezing")

    @property
    def exits(self) -> Exits | None:
        return self.sections.get("exits")

    @property
    def outputs(self) -> Roles | None:
        return self.sections.get("outputs")


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
    required = _required(record)
    sections = {}
    for name, section in registry().items():
        value = section.parse(record[name]) if name in record else None
        if value is not None:
            sections[name] = value
    ordered = {name: sections[name] for name in record if name in sections}
    extra = {name: said for name, said in record.items() if name not in (*RESERVED, *registry())}
    metadata = Metadata(MappingProxyType(ordered), MappingProxyType(extra))
    if required is not None:
        _check_required(metadata, required)
    return metadata


def format_metadata(metadata: Metadata) -> bytes:
    """The record as compact JSON, the same bytes for the same record.

    Raises TinyguardError for what `parse_metadata` would refuse.
    """
    record: dict[str, Any] = {"version": metadata.version}
    if metadata.requires:
        record["requires"] = list(metadata.requires)
    for section in in_order(metadata.sections):
        record[section.name] = section.as_json(metadata.sections[section.name])
    record.update(metadata.extra)
    try:
        content = json.dumps(record, separators=(",", ":"), allow_nan=False).encode()
    except (ValueError, RecursionError):
        raise TinyguardError("tinyguard metadata holds what JSON cannot; quantize the model again") from None
    parse_metadata(content)
    return content


def _required(record: Mapping[str, Any]) -> list[str] | None:
    """What the record requires, all of which is there and known; None for a version that does not say."""
    if record["version"] < RECORD_VERSION and "requires" not in record:
        return None
    names = record.get("requires")
    if (
        not isinstance(names, list)
        or not all(isinstance(name, str) for name in names)
        or len(set(names)) != len(names)
    ):
        raise TinyguardError(
            "tinyguard metadata: requires is not a list of different names; harden the model again"
        )
    for name in names:
        said = shortened(repr(name))
        if name not in record or name in RESERVED:
            raise TinyguardError(
                f"tinyguard metadata needs the section {said}, which is not there; harden the model again"
            )
        if name not in registry():
            raise TinyguardError(
                f"tinyguard metadata needs the section {said}, which this tinyguard does not know: update "
                "tinyguard, or install the package that brings it"
            )
    return names


def _check_required(metadata: Metadata, required: list[str]) -> None:
    for name in metadata.requires:
        if name not in required:
            raise TinyguardError(
                f"tinyguard metadata has the section {name!r} and does not require it; harden the model again"
            )
    for name in required:
        if not registry()[name].computes:
            raise TinyguardError(
                f"tinyguard metadata needs the section {name!r}, which changes no result; harden the model "
                "again"
            )


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
