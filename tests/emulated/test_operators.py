# SPDX-License-Identifier: Apache-2.0
"""Every operator's generated C on every emulated core, against NumPy, in every byte.

One image per core holds one case (quick) or several (slow) of each operator and scheme.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.operators.builder import SCHEMES
from tests.operators.cases_of import Case, case_modules, drawn_cases
from tinyguard.boards import Board, load
from tinyguard.codegen import predict, target_of
from tinyguard.codegen.batch import Batch
from tinyguard.operators.target import GOALS

CORES = {
    "m0": "microbit",
    "m3": "mps2-an385",
    "m4": "mps2-an386",
    "m7": "mps2-an500",
    "m33": "mps2-an505",
    "m55": "mps3-an547",
}

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.skipif(
        not shutil.which("qemu-system-arm") or not shutil.which("arm-none-eabi-gcc"),
        reason="qemu-system-arm or arm-none-eabi-gcc is not installed",
    ),
]


def _cases(numbers: range) -> list[Case]:
    return [
        case
        for name, module in case_modules().items()
        for scheme in getattr(module, "SCHEMES", SCHEMES)
        for case in drawn_cases(name, scheme, numbers)
    ]


def _fitting(cases: list[Case], board: Board) -> list[list[Case]]:
    """The cases in images that fit the board: its memories bound arena, constants and code."""
    arena = board.region("arena").size - board.stack_bytes - 4096
    flash = min(board.region("code").size, 1 << 20) // 2
    images: list[list[Case]] = [[]]
    filled = 0
    for case in cases:
        sizes = predict(case.graph)
        if sizes.arena_bytes > arena:
            continue
        cost = sizes.constant_bytes + 1500 * len(case.graph.nodes)  # a kernel specialised takes about that
        if filled + cost > flash:
            images.append([])
            filled = 0
        images[-1].append(case)
        filled += cost
    return images


def _agree(core: str, numbers: range, folder: Path, optimize: str = "balanced") -> None:
    board = load(CORES[core])
    target = target_of(board, optimize)
    cases = _cases(numbers)
    images = _fitting(cases, board)
    assert sum(map(len, images)) > 0.8 * len(cases)
    failures = []
    for i, image in enumerate(images):
        batch = Batch([case.graph for case in image], folder / f"image-{i}", board=board, target=target)
        answers = batch.run_all([(number, case.samples) for number, case in enumerate(image)])
        for case, answer in zip(image, answers, strict=True):
            flat = [np.asarray(y).reshape(e.shape) for y, e in zip(answer, case.expected, strict=True)]
            failures.append(case.difference(flat, core))
    text = "\n".join(filter(None, failures))
    assert not text, text


@pytest.mark.parametrize("core", CORES)
def test_generated_c_on_the_core_computes_the_same(core: str, tmp_path: Path) -> None:
    _agree(core, range(1), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("optimize", GOALS)
def test_more_cases_on_the_core_compute_the_same(core: str, optimize: str, tmp_path: Path) -> None:
    _agree(core, range(1, 7), tmp_path, optimize)
