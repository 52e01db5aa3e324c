# SPDX-License-Identifier: Apache-2.0
"""A batch in parts: the same codes and gradients as in one piece, and torch's threads as they were."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.codegen.networks import chain
from tinyguard.errors import TinyguardError
from tinyguard.simulator.network import Simulator
from tinyguard.simulator.parallel import even_parts, run_in_parts
from tinyguard.tflite import read_graph


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


@pytest.mark.parametrize(("samples", "most"), [(0, 4), (1, 4), (4, 4), (5, 4), (130, 128), (1000, 7)])
def test_batches_are_alike_in_size_and_leave_nothing_out(samples: int, most: int) -> None:
    parts = list(even_parts(samples, most))
    assert [index for start, end in parts for index in range(start, end)] == list(range(samples))
    sizes = [end - start for start, end in parts]
    assert max(sizes) <= most
    assert max(sizes) - min(sizes) <= 1
    assert len(parts) == max(1, -(-samples // most))


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


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ["digits/model", "resnet8-cifar10/model", "resnet8-cifar10/model-int16x8"])
def test_a_sample_has_the_same_gradient_in_every_batch(name: str, threads: int) -> None:
    graph = read_graph(Path(__file__).parents[2] / "models" / f"{name}.tflite")
    tensor = graph.tensors[graph.inputs[0]]
    drawn = np.random.default_rng(5).random((20, *tensor.shape[1:]))
    low, high = (-128, 127) if tensor.dtype == "int8" else (0, 32767)
    codes = torch.from_numpy(np.rint(low + drawn * (high - low)).astype(np.float32))
    found = same_in_every_batch(Simulator(graph).logits, codes, threads)
    assert (found != 0).any()


def same_in_every_batch(
    logits: Callable[[torch.Tensor], torch.Tensor], inputs: torch.Tensor, threads: int
) -> torch.Tensor:
    """The gradients of 20 inputs, when their logits and gradients do not depend on batch and place."""

    def run(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = x.clone().requires_grad_()
        found = logits(x)
        (gradient,) = torch.autograd.grad(found, x, torch.arange(found.shape[1]).sin().expand_as(found))
        return found.detach(), gradient

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        whole = run(inputs)
        torch.set_num_threads(threads)
        for part in (slice(0, 20), slice(5, 6), slice(3, 5), slice(2, 9), slice(1, 18)):
            for one, other in zip(run(inputs[part]), whole, strict=True):
                assert torch.equal(one, other[part])
    finally:
        torch.set_num_threads(before)
    return whole[1]
