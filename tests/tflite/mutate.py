# SPDX-License-Identifier: Apache-2.0
"""Hostile .tflite files: `python -m tests.tflite.mutate COUNT [SEED]` reads mutations of valid files.

Prints one JSON object: how many were read, how many refused, the slowest in seconds, the peak memory in
MiB, and every finding: an exception that is no TinyguardError, a message of more than one line.
"""

import json
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.operators.builder import SCHEMES
from tests.operators.cases_of import case_modules, generator
from tests.tflite.conftest import shared_models
from tinyguard.errors import TinyguardError
from tinyguard.operators import resolve
from tinyguard.tflite import Metadata, Normalization, read_graph, read_metadata, with_metadata, write_graph
from tinyguard.tflite.flatbuffer import Table, decode, encode
from tinyguard.tflite.schema import field

RECORD = Metadata.of(normalization=Normalization((0.0,), (255.0,)), class_names=("cat", "dog"))
NUMBERS = (0, 1, -1, 2, 3, 4, 7, 16, 127, 128, 255, 256, 65535, 65536, 2**24, 2**30, 2**31 - 1, -(2**31))


def corpus() -> list[bytes]:
    """Valid files: two of each operator and scheme, the digits and MLPerf networks where they are."""
    files = [
        with_metadata(write_graph(module.case(generator(name, scheme, number), scheme)), RECORD)
        for name, module in case_modules().items()
        for scheme in getattr(module, "SCHEMES", SCHEMES)
        for number in (0, 1)
    ]
    digits = Path(__file__).parents[2] / "models/digits/model.tflite"
    networks = [path for path in (digits, *sorted(shared_models().glob("*.tflite"))) if path.exists()]
    return files + [path.read_bytes() for path in networks for _ in range(max(1, len(files) // 8))]


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
    names = [name for name in table.values if field(table.kind, name).kind in ("scalar", "numbers", "bytes")]
    if not names or rng.random() < 0.1:
        table.values.pop(next(iter(table.values), None), None)
        return
    name = names[rng.integers(len(names))]
    described, value = field(table.kind, name), table.values[name]
    if described.kind == "scalar":
        table.values[name] = _hostile(described.type, value, rng)
    elif described.kind == "bytes":
        table.values[name] = _hostile_bytes(value, rng)
    elif value:
        values = list(value)
        at = rng.integers(len(values))
        values[at] = _hostile(described.type, values[at], rng)
        length = int(rng.integers(len(values) + 1)) if rng.random() < 0.3 else len(values)
        table.values[name] = tuple(values[:length])


def _hostile_bytes(value: bytes, rng: np.random.Generator) -> bytes:
    """A constant with one of its words replaced: axes, shapes, widths of padding and slices."""
    words = bytearray(value)
    if len(words) >= 4:
        at = 4 * int(rng.integers(len(words) // 4))
        words[at : at + 4] = _hostile("int32", int.from_bytes(words[at : at + 4], "little"), rng).to_bytes(
            4, "little", signed=True
        )
    return bytes(words)


def _hostile(kind: str, value: Any, rng: np.random.Generator) -> Any:
    near = rng.random() < 0.5
    if kind == "float32":
        factor = rng.choice([-1, 1e-9, 0.5, 2, 1e9])
        drawn = rng.choice([0, -1, 1e-30, 1e-18, 1e-9, 1e9, 1e18, 3e38, np.inf, np.nan])
        with np.errstate(over="ignore"):
            return float(np.float32(value * factor if near else drawn))
    if kind == "bool":
        return not value
    number = int(value + rng.choice([-2, -1, 1, 2])) if near else int(rng.choice(NUMBERS))
    bits = int("".join(c for c in kind if c.isdigit()))
    half = 0 if kind.startswith("u") else 1 << (bits - 1)
    return (number + half) % (1 << bits) - half


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
    result: dict[str, Any] = {
        "files": len(set(files)),
        "read": 0,
        "refused": 0,
        "seconds": 0.0,
        "findings": [],
    }
    for index in range(count):
        rng = np.random.default_rng((seed, index))
        data = bytearray(files[rng.integers(len(files))])
        mutate = MUTATIONS[rng.integers(len(MUTATIONS))]
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
    result["peak_mib"] = _peak_mib()
    return result


def _peak_mib() -> float:
    """Peak of this process alone; getrusage counts what its parent had before exec, too."""
    status = Path("/proc/self/status").read_text().split()
    return int(status[status.index("VmHWM:") + 1]) / 1024


if __name__ == "__main__":
    print(json.dumps(survey_mutations(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)))
