# SPDX-License-Identifier: Apache-2.0
"""Damaged and hostile files: read or refused with one clear line, quickly and in little memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

QUICK, ALL = 500, 10_000


@pytest.mark.parametrize("count", [QUICK, pytest.param(ALL, marks=pytest.mark.slow)])
def test_mutations(count: int) -> None:
    """In a process of its own, so that the peak memory is the reader's."""
    command = [sys.executable, "-m", "tests.tflite.mutate", str(count)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    checkout = Path(__file__).parents[2]
    run = subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, timeout=count, check=False
    )
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    print(f"{count} mutations: {result}")
    assert result["findings"] == []
    assert result["seconds"] < 2
    assert result["peak_mib"] < 1024
    assert result["read"] + result["refused"] == count
    assert result["read"] > 0
