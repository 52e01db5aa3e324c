# SPDX-License-Identifier: Apache-2.0
"""--flash-budget: as fast as fits, and a refusal with both figures."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.codegen.networks import chain
from tinyguard.boards import load
from tinyguard.cli import group
from tinyguard.codegen import prepare_for
from tinyguard.errors import TinyguardError
from tinyguard.tflite import read_graph

DIGITS = Path(__file__).parents[2] / "models" / "digits" / "model.tflite"


@pytest.mark.parametrize("board", ["mps2-an500", "mps3-an547"])
def test_less_flash_is_never_more_than_the_budget(board: str) -> None:
    graph, chosen = chain(size=16, channels=(16, 16, 16)), load(board)
    free = prepare_for(graph, chosen, optimize="speed")
    assert (
        prepare_for(graph, chosen, optimize="speed", flash_budget=10**6).layer_kernels == free.layer_kernels
    )
    with pytest.raises(TinyguardError, match="raise --flash-budget") as refusal:
        prepare_for(graph, chosen, optimize="speed", flash_budget=1)
    least = int(re.findall(r"take ([\d,]+) bytes", str(refusal.value))[0].replace(",", ""))
    smallest = prepare_for(graph, chosen, optimize="speed", flash_budget=least)
    assert smallest.constant_bytes <= least
    for budget in range(least, free.constant_bytes, max(1, (free.constant_bytes - least) // 8)):
        assert prepare_for(graph, chosen, optimize="speed", flash_budget=budget).constant_bytes <= budget


def test_a_library_keeps_to_the_budget_too(tmp_path: Path) -> None:
    """And is the network as it came where it must not be rewritten."""
    command = ["build", str(DIGITS), "--as", "library", "--board", "mps2-an386", "--optimize", "speed"]

    def constants(*more: str) -> int:
        done = CliRunner().invoke(group, [*command, *more, "--json", "-o", str(tmp_path / "library")])
        assert done.exit_code == 0, done.output
        return int(json.loads(done.stdout)["constant_bytes"])

    free = constants()
    assert constants("--flash-budget", str(free - 1)) < free
    refused = CliRunner().invoke(group, [*command, "--flash-budget", "1", "-o", str(tmp_path / "library")])
    assert "raise --flash-budget" in str(refused.exception)
    plain = prepare_for(read_graph(DIGITS), load("mps2-an386"), optimize="speed", passes=False)
    assert constants("--no-passes") == plain.constant_bytes
