# SPDX-License-Identifier: Apache-2.0
"""The loops in C beside torch: the same bits, and a network that runs without them."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.operators.test_filters import operator
from tinyguard.native import loops, shared_library
from tinyguard.simulator.choose_layer import layer_of
from tinyguard.simulator.filter import SmoothFilterLayer
from tinyguard.simulator.network import Simulator
from tinyguard.tflite import read_graph

MODELS = Path(__file__).resolve().parents[2] / "models" / "resnet8-cifar10"


def answers(name: str) -> tuple[torch.Tensor, ...]:
    graph = read_graph(MODELS / name)
    tensor = graph.tensors[graph.inputs[0]]
    info = np.iinfo(tensor.dtype)
    drawn = np.random.default_rng(3).integers(info.min, info.max + 1, (9, *tensor.shape[1:]))
    x = torch.from_numpy(drawn.astype(np.float32)).requires_grad_()
    simulator = Simulator(graph)
    outputs, logits = simulator.taps(x)
    (gradient,) = torch.autograd.grad(logits[:, 1].sum(), x)
    (leaking,) = torch.autograd.grad(simulator.leaky(0.5).logits(x)[:, 1].sum(), x)
    with torch.no_grad():
        return *outputs, logits.detach(), gradient, leaking, simulator(x.detach())[0]


@pytest.mark.parametrize("name", ["model.tflite", "model-int16x8.tflite"])
def test_a_network_gives_the_same_bits_without_them(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shared_library.library() is not None, "the project's machines have a C compiler"
    found = answers(name)
    monkeypatch.setattr(loops, "library", lambda: None)
    assert not loops.serves(torch.zeros(1))
    *expected, leaking, last = answers(name)
    for one, other in zip(found, (*expected, None, last), strict=True):
        assert other is None or torch.equal(one, other)
    torch.testing.assert_close(found[-2], leaking, rtol=1e-4, atol=1e-7)


FILTERS = (
    ("median", {"size": 3}),
    ("tv", {"strength": 4, "iterations": 20}),
    ("tv", {"strength": 1, "iterations": 3}),
)


@pytest.mark.parametrize("shape", [(5, 12, 11, 3), (4, 1, 30, 2), (3, 9, 1, 1), (2, 1, 1, 4), (0, 4, 4, 1)])
@pytest.mark.parametrize(("name", "parameters"), FILTERS)
def test_filters_give_the_same_bits_without_them(
    name: str, parameters: dict[str, int], shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(4)
    one = operator(name, shape, **parameters)
    layer = layer_of(one)
    x = torch.from_numpy(random.integers(-128, 128, shape).astype(np.float32))
    x = (x / 16).round().requires_grad_()  # of few values, so that windows have equal ones
    upstream = torch.from_numpy(random.normal(size=shape).astype(np.float32))

    def answer() -> tuple[torch.Tensor, torch.Tensor]:
        (values,) = layer.forward(x)
        return values.detach(), *torch.autograd.grad(values, x, upstream)

    values, gradient = answer()
    np.testing.assert_array_equal(values.numpy(), one.run(x.detach().numpy().astype(np.int8))[0])
    monkeypatch.setattr(loops, "library", lambda: None)
    for found, expected in zip((values, gradient), answer(), strict=True):
        assert torch.equal(found, expected)


def test_the_gradient_of_total_variation_is_that_of_its_smooth_form() -> None:
    one = layer_of(operator("tv", (3, 8, 7, 2), strength=2, iterations=9))
    assert isinstance(one, SmoothFilterLayer)
    x = torch.from_numpy(np.random.default_rng(5).integers(-128, 128, (3, 8, 7, 2)).astype(np.float32))
    upstream, leaf = torch.rand(x.shape), x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(one.smooth(leaf), leaf, upstream)
    (found,) = torch.autograd.grad(one.forward(leaf)[0], leaf, upstream)
    torch.testing.assert_close(found, expected)


def test_the_gradient_of_the_median_goes_to_the_first_of_its_value() -> None:
    one, x = layer_of(operator("median", (1, 3, 3, 1), size=3)), torch.zeros(1, 3, 3, 1)
    x[0, :, :, 0] = torch.tensor([[9.0, 5.0, 1.0], [5.0, 7.0, 0.0], [2.0, 5.0, 8.0]])
    leaf, upstream = x.requires_grad_(), torch.zeros(1, 3, 3, 1)
    upstream[0, 1, 1, 0] = 2
    (found,) = torch.autograd.grad(one.forward(leaf)[0], leaf, upstream)
    expected = torch.zeros(3, 3)
    expected[0, 1] = 2
    assert torch.equal(found[0, :, :, 0], expected)


def test_only_plain_contiguous_tensors_are_served() -> None:
    assert loops.serves(torch.zeros(4, 4))
    assert not loops.serves(torch.zeros(4, 4).t()[1:])
    assert not loops.serves(torch.zeros(2, device="meta"))


@pytest.mark.parametrize("cause", ["no compiler", "no folder", "switched off"])
def test_torch_serves_where_they_cannot_be_built(cause: str, tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    if cause == "no compiler":
        environment["PATH"] = str(tmp_path)
    elif cause == "no folder":
        (tmp_path / "tinyguard").write_text("in the way")
    else:
        environment["TINYGUARD_NATIVE"] = "0"
    program = "from tinyguard.native.shared_library import library; print(library())"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "None\n"


def test_it_is_built_once(tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    program = "from tinyguard.native.shared_library import library; print(library() is not None)"
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True
        )
        assert done.stdout == "True\n"
        environment["PATH"] = ""  # the second time nothing is compiled
    assert len(list((tmp_path / "tinyguard").iterdir())) == 1
