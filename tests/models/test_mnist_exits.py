# SPDX-License-Identifier: Apache-2.0
"""SmallCNN with exits: folding two heads changes no float output; exits are found shallowest first."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tinyguard.sources.exit_order import by_depth
from tinyguard.sources.torch_files import open_torch

FOLDER = Path(__file__).parents[2] / "models" / "mnist-exits"


def _opened(function: str) -> Any:
    return open_torch(f"{FOLDER / 'network.py'}:{function}")


@pytest.mark.parametrize("width", ["full", "half", "quarter"])
def test_folded_heads_give_the_same_outputs(width: str, tmp_path: Path) -> None:
    network, folded = _opened(width), _opened(f"folded_{width}")
    np.savez(tmp_path / "in.npz", **{name: value.numpy() for name, value in network.state_dict().items()})
    runpy.run_path(str(FOLDER / "network.py"))["fold_file"](tmp_path / "in.npz", tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as arrays:
        folded.load_state_dict({name: torch.from_numpy(arrays[name]) for name in arrays.files})
    x = torch.rand(16, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for ours, theirs in zip(folded(x), network(x), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


def test_exits_lie_shallowest_first() -> None:
    assert by_depth(_opened("full"), torch.zeros(1, 1, 28, 28)) == (0, 1, 2)
