# SPDX-License-Identifier: Apache-2.0
"""MVE kernels on the emulated M55 against NumPy, in every byte, with every goal, many layers an image."""

import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest

from tests.kernels.mve_shapes import DRAWN
from tests.operators.cases_of import Case, drawn_cases, make_case
from tinyguard.boards import load
from tinyguard.codegen import predict
from tinyguard.codegen.batch import Batch
from tinyguard.kernels import PORTABLE_KERNEL, choose
from tinyguard.operators import Target, resolve

OTHERS = ("add", "mul", "pool_2d", "logistic", "hard_swish", "quantize")
IMAGE_BYTES = 300_000  # constants and a guess of the code of an image, far below the 512 KiB there are
GOALS = ("speed", "balanced", "size")

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.skipif(
        not shutil.which("qemu-system-arm") or not shutil.which("arm-none-eabi-gcc"),
        reason="qemu-system-arm or arm-none-eabi-gcc is not installed",
    ),
]


def _drawn(kind: str, numbers: range) -> list[Case]:
    if kind in OTHERS:
        return list(drawn_cases(kind, "int8", numbers))
    cases = []
    for number in numbers:
        rng = np.random.default_rng([zlib.crc32(kind.encode()), number])
        cases.append(make_case(f"{kind} {number}", DRAWN[kind](rng), rng))
    return cases


def _images(cases: list[Case]) -> list[list[Case]]:
    images: list[list[Case]] = [[]]
    filled = 0
    for case in cases:
        size = predict(case.graph).constant_bytes + 6000
        if filled + size > IMAGE_BYTES and images[-1]:
            images.append([])
            filled = 0
        images[-1].append(case)
        filled += size
    return images


def _agree(cases: list[Case], goal: str, folder: Path) -> None:
    target = Target("mve", goal)
    failures = []
    for number, image in enumerate(_images(cases)):
        graphs = [case.graph for case in image]
        batch = Batch(graphs, folder / str(number), board=load("mps3-an547"), target=target)
        answers = batch.run_all([(k, case.samples) for k, case in enumerate(image)])
        for case, answer in zip(image, answers, strict=True):
            failures.append(case.difference(list(answer), f"MVE for {goal}"))
    text = "\n".join(filter(None, failures))
    assert not text, text


@pytest.mark.parametrize("goal", GOALS)
def test_layers_compute_the_same(goal: str, tmp_path: Path) -> None:
    cases = [case for kind in DRAWN for case in _drawn(kind, range(4))]
    cases += [case for kind in OTHERS for case in _drawn(kind, range(2))]
    _agree(cases, goal, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("goal", GOALS)
@pytest.mark.parametrize("kind", [*DRAWN, *OTHERS])
def test_500_layers_compute_the_same(kind: str, goal: str, tmp_path: Path) -> None:
    """500 with each goal for the kernels that depend on it, 200 for the others."""
    _agree(_drawn(kind, range(500 if kind in DRAWN else 200)), goal, tmp_path)


def test_kernels_are_chosen() -> None:
    """The comparison above would also pass if everything were portable."""
    for kind in [*DRAWN, *OTHERS]:
        cases = _drawn(kind, range(20))
        for goal in GOALS:
            chosen = [choose(resolve(case.graph), Target("mve", goal))[0] for case in cases]
            fast = sum(kernel is not PORTABLE_KERNEL for kernel in chosen)
            assert fast >= 3, f"{kind} for {goal}: {fast} of {len(chosen)}"
