# SPDX-License-Identifier: Apache-2.0
"""The DSP convolutions and fully connected layers against NumPy: in C on the host under the sanitizers, in
assembly on the emulated cores."""

import functools
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.kernels.conv_cases import convolution, fully_connected, plain_3x3
from tests.operators.cases_of import Case, make_case
from tinyguard.boards import load
from tinyguard.codegen.batch import Batch
from tinyguard.graph import Graph
from tinyguard.kernels import choose
from tinyguard.operators import Target, resolve

KINDS: dict[str, Callable[[np.random.Generator], Graph]] = {
    "convolution": convolution,
    "plain_3x3": plain_3x3,
    "fully_connected": fully_connected,
}
BOARDS = {"m4": "mps2-an386", "m7": "mps2-an500", "m33": "mps2-an505"}
QUICK, REST = range(24), range(24, 500)
_IN_AN_IMAGE = 40

every_kind = pytest.mark.parametrize("kind", KINDS)
every_goal = pytest.mark.parametrize("goal", ["speed", "size"])
numbers_of = pytest.mark.parametrize(
    "numbers", [QUICK, pytest.param(REST, marks=pytest.mark.slow)], ids=["quick", "rest"]
)


@functools.cache
def _cases(kind: str, numbers: range) -> tuple[Case, ...]:
    drawn = []
    for number in numbers:
        rng = np.random.default_rng([len(kind), number])
        drawn.append(make_case(f"{kind} {number}", KINDS[kind](rng), rng))
    return tuple(drawn)


def _agree(cases: tuple[Case, ...], folder: Path, who: str, **how: object) -> None:
    for start in range(0, len(cases), _IN_AN_IMAGE):
        some = cases[start : start + _IN_AN_IMAGE]
        batch = Batch([case.graph for case in some], folder / f"{start}", **how)  # type: ignore[arg-type]
        answers = batch.run_all([(number, case.samples) for number, case in enumerate(some)])
        for case, answer in zip(some, answers, strict=True):
            difference = case.difference(list(answer), who)
            assert not difference, difference


@numbers_of
@every_goal
@every_kind
def test_c_equivalents_compute_the_same(kind: str, goal: str, numbers: range, tmp_path: Path) -> None:
    _agree(_cases(kind, numbers), tmp_path, "the host", sanitize=True, target=Target("dsp", goal))


@pytest.mark.emulator
@pytest.mark.skipif(
    not shutil.which("qemu-system-arm") or not shutil.which("arm-none-eabi-gcc"),
    reason="qemu-system-arm or arm-none-eabi-gcc is not installed",
)
@numbers_of
@every_goal
@every_kind
@pytest.mark.parametrize("core", BOARDS)
def test_assembly_computes_the_same(core: str, kind: str, goal: str, numbers: range, tmp_path: Path) -> None:
    if numbers is QUICK and core != "m7":
        pytest.skip("the full suite runs the other cores")
    _agree(_cases(kind, numbers), tmp_path, core, board=load(BOARDS[core]), target=Target("dsp", goal))


@every_goal
@every_kind
def test_most_layers_have_a_fast_kernel(kind: str, goal: str) -> None:
    chosen = [
        kernel.name
        for case in _cases(kind, QUICK)
        for kernel in choose(resolve(case.graph), Target("dsp", goal))
    ]
    assert sum(name.startswith("dsp") for name in chosen) > 0.7 * len(chosen)
