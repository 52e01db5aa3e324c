# SPDX-License-Identifier: Apache-2.0
"""Kernels against NumPy: many drawn layers in one program, on the host or on an emulated core."""

import shutil
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.operators.cases_of import Case, make_case
from tinyguard.boards import load
from tinyguard.codegen.batch import Batch
from tinyguard.graph import Graph
from tinyguard.kernels import choose
from tinyguard.operators import Target, resolve

Draw = Callable[[np.random.Generator], Graph]

DSP_BOARDS = {"m4": "mps2-an386", "m7": "mps2-an500", "m33": "mps2-an505"}
_AN_IMAGE = 60  # layers: what a board's flash holds

needs_emulator = [
    pytest.mark.emulator,
    pytest.mark.skipif(
        not shutil.which("qemu-system-arm") or not shutil.which("arm-none-eabi-gcc"),
        reason="qemu-system-arm or arm-none-eabi-gcc is not installed",
    ),
]
QUICK_AND_REST = pytest.mark.parametrize(
    "numbers", [range(24), pytest.param(range(24, 500), marks=pytest.mark.slow)], ids=["quick", "rest"]
)


def drawn(name: str, draw: Draw, numbers: range) -> list[Case]:
    """Cases with these numbers; a failure prints name and number."""
    found = []
    for number in numbers:
        rng = np.random.default_rng([zlib.crc32(name.encode()), number])
        found.append(make_case(f"{name} {number}", draw(rng), rng))
    return found


def chosen(cases: Sequence[Case], target: Target) -> list[str]:
    """Names of the kernels that the layers get."""
    return [kernel.name for case in cases for kernel in choose(resolve(case.graph), target)]


def assert_agree(
    cases: Sequence[Case], folder: Path, target: Target, board: str | None = None, kernel: str = ""
) -> None:
    """Every case in every byte; most layers must have got a kernel whose name starts with `kernel`."""
    names = chosen(cases, target)
    assert sum(name.startswith(kernel) for name in names) > 0.6 * len(names), names
    failures = []
    for start in range(0, len(cases), _AN_IMAGE):
        image = cases[start : start + _AN_IMAGE]
        batch = Batch(
            [case.graph for case in image],
            folder / f"image-{start}",
            load(board) if board else None,
            sanitize=board is None,
            target=target,
        )
        answers = batch.run_all([(k, case.samples) for k, case in enumerate(image)])
        for case, answer in zip(image, answers, strict=True):
            flat = [np.asarray(y).reshape(e.shape) for y, e in zip(answer, case.expected, strict=True)]
            failures.append(case.difference(flat, board or "the host"))
    text = "\n".join(filter(None, failures))
    assert not text, text
