# SPDX-License-Identifier: Apache-2.0
"""The tinyguard record: round trips, and refusals in one line."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyguard.errors import TinyguardError
from tinyguard.tflite.flatbuffer import Table, decode, encode
from tinyguard.tflite.metadata import (
    Metadata,
    Normalization,
    format_metadata,
    parse_metadata,
    read_metadata,
    with_metadata,
)
from tinyguard.tflite.record import RESERVED, registry

PLAIN = Metadata.of(normalization=Normalization((0.0,), (255.0,)), class_names=("cat", "dög"))
RECORD = replace(PLAIN, extra={"later": [1, 2]})
EMPTY_FILE = encode(Table("Model", {"version": 3, "description": "a file", "buffers": (Table("Buffer"),)}))


def test_round_trip_and_replacement() -> None:
    assert read_metadata(EMPTY_FILE) is None
    data = with_metadata(EMPTY_FILE, RECORD)
    assert read_metadata(data) == RECORD
    shorter = with_metadata(data, Metadata())
    assert read_metadata(shorter) == Metadata()
    assert len(decode(shorter)["buffers"]) == 2


def test_everything_else_is_kept(mlperf_model: Path) -> None:
    before = decode(mlperf_model.read_bytes())
    after = decode(with_metadata(mlperf_model.read_bytes(), RECORD))
    assert after["buffers"][:-1] == before["buffers"]
    assert after["metadata"][:-1] == before["metadata"]
    assert {**after.values, "buffers": 0, "metadata": 0} == {**before.values, "buffers": 0, "metadata": 0}


def test_the_file_with_its_record_is_read_from_disk(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(with_metadata(EMPTY_FILE, RECORD))
    assert read_metadata(path) == RECORD


def test_data_outside_the_flatbuffer_is_not_lost() -> None:
    data = encode(Table("Model", {"buffers": (Table("Buffer", {"offset": 4096, "size": 9}),)}))
    with pytest.raises(TinyguardError, match="outside the FlatBuffer"):
        with_metadata(data, RECORD)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"version": 4}', "version 4, known is version 3; update tinyguard"),
        (b'{"version": 2, "filters": {}}', "not a list"),
        (b'{"version": 2, "filters": [{"size": 3}]}', "without a name"),
        (b'{"version": 2, "filters": [{"name": "medain", "size": 3}]}', "did you mean median"),
        (
            b'{"version": 2, "filters": [{"name": "median", "size": 3, "border": 1}]}',
            "this version knows size",
        ),
        (b'{"version": 2, "filters": [{"name": "median", "size": "3"}]}', "harden the model again"),
        (b"{", "not valid JSON"),
        (b"\xff", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"[1]", "no version"),
        (b'{"version": true}', "no version"),
        (b'{"version": 1, "normalization": {"mean": [0], "std": [0]}}', "positive"),
        (b'{"version": 1, "normalization": {"mean": [0, 1], "std": [1]}}', "one length"),
        (b'{"version": 1, "normalization": {"mean": [NaN], "std": [1]}}', "one length"),
        (b'{"version": 1, "normalization": {"mean": [1' + b"0" * 400 + b'], "std": [1]}}', "one length"),
        (b'{"version": 1, "class_names": ["a\\nb"]}', "printable"),
        (b'{"version": 1, "class_names": [1]}', "list of printable names"),
    ],
)
def test_refused_in_one_line(content: bytes, words: str) -> None:
    with pytest.raises(TinyguardError, match=words) as refused:
        parse_metadata(content)
    assert "\n" not in str(refused.value)


def test_a_record_that_could_not_be_read_is_not_written() -> None:
    with pytest.raises(TinyguardError, match="positive"):
        with_metadata(EMPTY_FILE, Metadata.of(normalization=Normalization((0.0,), (-1.0,))))


@given(st.dictionaries(st.text(min_size=1), st.integers() | st.text() | st.lists(st.booleans()), max_size=4))
def test_unknown_sections_are_kept(sections: dict[str, object]) -> None:
    extra = {name: value for name, value in sections.items() if name not in (*RESERVED, *registry())}
    again = parse_metadata(format_metadata(Metadata(extra=extra)))
    assert json.loads(json.dumps(dict(again.extra))) == extra
