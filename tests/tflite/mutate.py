"""Hostile .tflite files: `python -m tests.tflite.mutate COUNT [SEED]` reads mutations of valid files.

Prints one JSON object: how many were read, how many refused, the slowest in seconds, the peak memory in
MiB, and every finding: an exception that is no TinyguardError, a message of more than one line.
"""

import json
import resource
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.tflite.conftest import shared_models
from tests.tflite.test_writer import addition, convolution, fully_connected, softmax
from tinyguard.errors import TinyguardError
from tinyguard.operators import resolve
from tinyguard.tflite import Metadata, Normalization, read_graph, read_metadata, with_metadata, write_graph
from tinyguard.tflite.flatbuffer import Table, decode, encode
from tinyguard.tflite.schema import field

RECORD = Metadata(normalization=Normalization((0.0,), (255.0,)), class_names=("cat", "dog"))
NUMBERS = (0, 1, -1, 2, 3, 4, 7, 16, 127, 128, 255, 256, 65535, 65536, 2**24, 2**30, 2**31 - 1, -(2**31))


def corpus() -> list[bytes]:
    """Valid files: of one operator each, the digits network and the MLPerf networks where they are."""
    files = [
        with_metadata(write_graph(build(scheme)), RECORD)
        for build in (convolution, addition, fully_connected, softmax)
        for scheme in ("int8", "int16x8")
    ]
    digits = Path(__file__).parents[2] / "models/digits/model.tflite"
    return files + [
        path.read_bytes() for path in (digits, *sorted(shared_models().glob("*.tflite"))) if path.exists()
    ]


def flip(data: bytearray, rng: np.random.Generator, files: list[bytes]) -> None:
    """One to eight bits."""
    del files
    for _ in range(rng.integers(1, 9)):
        data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))


def truncate(data: bytearray, rng: np.random.Generator, files: list[bytes]) -> None:
    """The end lost."""
    del files
    del data[rng.integers(len(data)) :]


def overwrite(data: bytearray, rng: np.random.Generator, files: list[bytes]) -> None:
    """Hostile offsets and lengths over aligned words."""
    del files
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(len(data) // 4)) * 4
        near = at + 4 * int(rng.integers(-64, 64))
        value = int(rng.choice([*NUMBERS, len(data), len(data) - at, len(data) - at - 4, near]))
        data[at : at + 4] = (value & 0xFFFFFFFF).to_bytes(4, "little")


def splice(data: bytearray, rng: np.random.Generator, files: list[bytes]) -> None:
    """A chunk of this file or another, over the old bytes or between them."""
    other = files[rng.integers(len(files))]
    length = int(rng.integers(1, min(len(other), 512)))
    start, at = int(rng.integers(len(other) - length + 1)), int(rng.integers(len(data)))
    data[at : at + (length if rng.random() < 0.5 else 0)] = other[start : start + length]


def edit(data: bytearray, rng: np.random.Generator, files: list[bytes]) -> None:
    """A well-formed file that says something hostile: numbers in its tables replaced."""
    del files
    model = decode(bytes(data))
    tables = _tables(model)
    for _ in range(rng.integers(1, 4)):
        _edit_table(tables[rng.integers(len(tables))], rng)
    data[:] = encode(model)


def _tables(table: Table) -> list[Table]:
    children = [c for v in table.values.values() for c in (v if isinstance(v, tuple) else (v,))]
    return [table, *(t for child in children if isinstance(child, Table) for t in _tables(child))]


def _edit_table(table: Table, rng: np.random.Generator) -> None:
    names = [name for name in table.values if field(table.kind, name).kind in ("scalar", "numbers")]
    if not names or rng.random() < 0.1:
        table.values.pop(next(iter(table.values), None), None)
        return
    name = names[rng.integers(len(names))]
    described, value = field(table.kind, name), table.values[name]
    if described.kind == "scalar":
        table.values[name] = _hostile(described.type, rng)
    elif value:
        values = list(value)
        values[rng.integers(len(values))] = _hostile(described.type, rng)
        table.values[name] = tuple(
            values[: int(rng.integers(len(values) + 1))] if rng.random() < 0.3 else values
        )


def _hostile(kind: str, rng: np.random.Generator) -> Any:
    if kind == "float32":
        return float(np.float32(rng.choice([0, -1, 1e-30, 1e-18, 1e-9, 1e9, 1e18, 3e38, np.inf, np.nan])))
    if kind == "bool":
        return bool(rng.integers(2))
    value = int(rng.choice(NUMBERS))
    bits = int("".join(c for c in kind if c.isdigit()))
    return (
        value % (1 << bits)
        if kind.startswith("u")
        else (value + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)
    )


MUTATIONS: tuple[Callable[..., None], ...] = (flip, truncate, overwrite, splice, edit)


def attempt(data: bytes) -> str | None:
    """The refusal, None when everything was read."""
    refusal = None
    try:
        resolve(read_graph(data))
    except TinyguardError as error:
        refusal = str(error)
    for read in (read_metadata, lambda content: with_metadata(content, RECORD)):
        try:
            read(data)
        except TinyguardError as error:
            refusal = refusal or str(error)
    return refusal


def survey_mutations(count: int, seed: int) -> dict[str, Any]:
    """Read `count` mutations, the same for the same seed."""
    files = corpus()
    result: dict[str, Any] = {"files": len(files), "read": 0, "refused": 0, "seconds": 0.0, "findings": []}
    for index in range(count):
        rng = np.random.default_rng((seed, index))
        data = bytearray(files[index % len(files)])
        mutate = MUTATIONS[(index // len(files)) % len(MUTATIONS)]
        mutate(data, rng, files)
        start = time.perf_counter()
        try:
            refusal = attempt(bytes(data))
            result["read" if refusal is None else "refused"] += 1
            if refusal is not None and (not refusal or "\n" in refusal):
                result["findings"].append(f"{index} {mutate.__name__}: message {refusal!r}")
        except Exception:
            last = " | ".join(traceback.format_exc().strip().splitlines()[-5:])
            result["findings"].append(f"{index} {mutate.__name__}: {last}")
        result["seconds"] = max(result["seconds"], time.perf_counter() - start)
    result["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return result


if __name__ == "__main__":
    print(json.dumps(survey_mutations(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)))
