# SPDX-License-Identifier: Apache-2.0
"""The schema table against the one that TensorFlow generates from schema.fbs."""

import importlib.util
import re
from pathlib import Path

import pytest

from tinyguard.tflite import schema

_ADD = re.compile(
    r"^def (\w+?)Add(\w+)\(builder, \w+\):\s+builder\.Prepend(\w+?)Slot\((\d+), .*?, ([^,]+?)\)$",
    re.MULTILINE,
)
_ENUM = re.compile(r"^class (\w+)\(object\):\n((?:    \w+ = -?\d+\n)+)", re.MULTILINE)
_VECTOR = re.compile(
    r"^def (\w+?)Start(\w+)Vector\(builder, numElems\):\s+return builder.StartVector\((\d+)", re.MULTILINE
)
_WIDTHS = {"bool": 1, "int8": 1, "uint8": 1, "uint16": 2, "int32": 4, "uint32": 4, "float32": 4}


@pytest.fixture(scope="module")
def generated() -> str:
    found = importlib.util.find_spec("tensorflow")
    if found is None or found.origin is None:
        pytest.skip("tensorflow is not installed")
    return (Path(found.origin).parent / "lite/python/schema_py_generated.py").read_text()


def _slot_name(name: str) -> str:
    return name.replace("_", "").lower()


def test_enums(generated: str) -> None:
    published = {}
    for name, body in _ENUM.findall(generated):
        published[name] = [(member, int(value)) for member, value in re.findall(r"(\w+) = (-?\d+)", body)]
    for name, members in schema.ENUMS.items():
        assert [(member, number) for number, member in enumerate(members)] == published[name], name


def test_field_slots_types_and_defaults(generated: str) -> None:
    published: dict[str, dict[int, tuple[str, str, str]]] = {}
    for table, name, kind, slot, default in _ADD.findall(generated):
        published.setdefault(table, {})[int(slot)] = (name, kind, default)
    for table, fields in schema.TABLES.items():
        ours = {}
        for field in fields:
            kind = field.type.title() if field.kind == "scalar" else "UOffsetTRelative"
            default = float(field.default or 0)
            if not field.name.startswith("deprecated_") or table == "OperatorCode":
                ours[field.slot] = (_slot_name(field.name), kind, default)
        theirs = {
            slot: (_slot_name(name), kind, float({"False": 0, "True": 1}.get(default, default)))
            for slot, (name, kind, default) in published.get(table, {}).items()
        }
        assert ours == theirs, table


def test_vector_element_sizes(generated: str) -> None:
    sizes = {(table, _slot_name(name)): int(size) for table, name, size in _VECTOR.findall(generated)}
    for table, fields in schema.TABLES.items():
        for field in fields:
            if field.kind in ("bytes", "numbers", "tables"):
                expected = {"bytes": 1, "tables": 4}.get(field.kind) or _WIDTHS.get(field.type, 8)
                assert sizes[table, _slot_name(field.name)] == expected, f"{table}.{field.name}"


@pytest.mark.parametrize(
    ("operator", "table"),
    [
        ("CONV_2D", "Conv2DOptions"),
        ("RELU", None),
        ("ABS", "AbsOptions"),
        ("LEAKY_RELU", "LeakyReluOptions"),
        ("MEAN", "ReducerOptions"),
        ("TANH", None),
        ("STRIDED_SLICE", "StridedSliceOptions"),
    ],
)
def test_options_table(operator: str, table: str | None) -> None:
    assert schema.options_table(operator) == table
