"""--flash-budget: as fast as fits, and a refusal with both figures."""

import re

import pytest

from tests.codegen.networks import chain
from tinyguard.boards import load
from tinyguard.codegen import prepare_for
from tinyguard.errors import TinyguardError


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
