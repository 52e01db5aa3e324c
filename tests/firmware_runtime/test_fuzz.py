# SPDX-License-Identifier: Apache-2.0
"""The frame parser and the dispatcher under hostile bytes, with ASan and UBSan."""

import subprocess
from pathlib import Path

import pytest

from tests.device.host_board import SOURCES, compile_runtime
from tinyguard.device.protocol import Command


def _fuzzer(folder: Path, stages: bool) -> Path:
    sources = [SOURCES / "fuzz.c", SOURCES / "fake_model.c"]
    return compile_runtime(folder / "fuzz", sources, main=False, stages=stages)


def _fuzz(binary: Path, seed: int, seconds: int) -> dict[str, int]:
    result = subprocess.run(
        [binary, str(seed), str(seconds)], capture_output=True, text=True, timeout=seconds + 60
    )
    assert result.returncode == 0, result.stderr
    return {name: int(count) for name, count in map(str.split, result.stdout.splitlines())}


@pytest.mark.parametrize(
    ("seed", "seconds", "stages"),
    [
        (1, 10, False),
        pytest.param(3, 4, True, id="stages"),
        pytest.param(2, 600, False, marks=pytest.mark.slow, id="ten-minutes"),
        pytest.param(4, 600, True, marks=pytest.mark.slow, id="ten-minutes-stages"),
    ],
)
def test_hostile_bytes_never_harm_the_board_nor_change_a_result(
    tmp_path: Path, seed: int, seconds: int, stages: bool
) -> None:
    counts = _fuzz(_fuzzer(tmp_path, stages), seed, seconds)
    print(counts)
    reached = {command for command in Command if counts.get(f"command_{command}", 0) > 0}
    assert reached == set(Command) - {Command.ERROR, Command.FAULT}
    assert counts["refused"] > 0
    assert counts["resets"] > 0
