# SPDX-License-Identifier: Apache-2.0
"""The frame parser and the dispatcher under hostile bytes, with ASan and UBSan."""

import subprocess
from pathlib import Path

import pytest

from tests.device.host_board import SOURCES, compile_runtime
from tinyguard.device.protocol import Command


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    binary = tmp_path_factory.mktemp("fuzz") / "fuzz"
    return compile_runtime(binary, [SOURCES / "fuzz.c", SOURCES / "fake_model.c"], main=False)


def _fuzz(binary: Path, seed: int, seconds: int) -> dict[str, int]:
    result = subprocess.run(
        [binary, str(seed), str(seconds)], capture_output=True, text=True, timeout=seconds + 60
    )
    assert result.returncode == 0, result.stderr
    return {name: int(count) for name, count in map(str.split, result.stdout.splitlines())}


@pytest.mark.parametrize(
    ("seed", "seconds"), [(1, 10), pytest.param(2, 600, marks=pytest.mark.slow, id="ten-minutes")]
)
def test_hostile_bytes_never_harm_the_board_nor_change_a_result(
    fuzzer: Path, seed: int, seconds: int
) -> None:
    counts = _fuzz(fuzzer, seed, seconds)
    print(counts)
    reached = {command for command in Command if counts.get(f"command_{command}", 0) > 0}
    assert reached == set(Command) - {Command.ERROR, Command.FAULT}
    assert counts["refused"] > 0
    assert counts["resets"] > 0
