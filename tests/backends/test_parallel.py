"""A batch in parts: the same codes and gradients as in one piece, and torch's threads as they were."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from tests.codegen.networks import chain
from tinyguard.backends.parallel import run_in_parts
from tinyguard.backends.simulator import Simulator
from tinyguard.errors import TinyguardError


@pytest.fixture
def _two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_two_threads")
@pytest.mark.parametrize("samples", [1, 16, 37])
def test_parts_give_what_the_whole_gives(samples: int) -> None:
    graph = chain()
    simulator = Simulator(graph)
    shape = (samples, *graph.tensors[graph.inputs[0]].shape[1:])
    codes = torch.from_numpy(np.random.default_rng(1).integers(-128, 128, shape).astype(np.float32))
    found = []
    for run in (simulator, simulator._outputs):
        x = codes.clone().requires_grad_()
        (y,) = run(x)
        y.backward(torch.ones_like(y), retain_graph=True)
        y.backward(torch.ones_like(y))
        found.append((y.detach(), x.grad))
    assert torch.equal(found[0][0], found[1][0])
    torch.testing.assert_close(found[0][1], found[1][1])
    assert (found[0][1] != 0).any()


@pytest.mark.usefixtures("_two_threads")
def test_inputs_without_a_gradient_and_outputs_without_one_have_none() -> None:
    def network(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return a * 2 + b.detach(), torch.round(b.detach())

    a, b = torch.ones(20, 3, requires_grad=True), torch.ones(20, 3)
    first, second = run_in_parts(network, (a, b))
    (first.sum() + second.sum()).backward()
    assert torch.equal(a.grad, torch.full((20, 3), 2.0))
    assert b.grad is None
    with torch.no_grad():
        assert not run_in_parts(network, (a, b))[0].requires_grad


@pytest.mark.usefixtures("_two_threads")
def test_an_error_in_a_part_is_the_caller_s() -> None:
    def network(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        raise TinyguardError("no such layer")

    with pytest.raises(TinyguardError, match="no such layer"):
        run_in_parts(network, (torch.zeros(32, 2),))
