# SPDX-License-Identifier: Apache-2.0
"""The digits network as an honest target, and samples for it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tinyguard.attacks.space import space_of
from tinyguard.attacks.victim import FloatVictim
from tinyguard.data import load_data, to_codes
from tinyguard.robustness.attacked_network import Target, open_target

DIGITS = Path(__file__).parents[2] / "models" / "digits" / "model.tflite"


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Batches are small, and the noise of a masking network is to be the same in every run."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="package")
def honest() -> Target:
    """The digits network, with a float twin: the simulator's logits without their rounding of the input."""
    target = open_target(DIGITS)
    tensor = target.graph.tensors[target.graph.inputs[0]]

    def network(real: torch.Tensor) -> torch.Tensor:
        codes = real / tensor.scale - 128
        return target.simulator.logits(codes + (codes.round() - codes).detach())

    space = space_of(tensor, target.normalization, "none")
    return replace(target, float_victim=FloatVictim(network, space, 10))


@pytest.fixture(scope="package")
def samples(honest: Target) -> tuple[np.ndarray, np.ndarray]:
    tensor = honest.graph.tensors[honest.graph.inputs[0]]
    loaded = load_data("digits:test", tensor, limit=64)
    assert loaded.y is not None
    return to_codes(loaded, tensor, honest.metadata), loaded.y
