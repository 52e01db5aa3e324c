"""The loops in C beside torch: the same bits, and a network that runs without them."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tinyguard.backends.simulator import Simulator
from tinyguard.native import library, loops
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
    assert library.library() is not None, "the project's machines have a C compiler"
    found = answers(name)
    monkeypatch.setattr(loops, "library", lambda: None)
    assert not loops.serves(torch.zeros(1))
    *expected, leaking, last = answers(name)
    for one, other in zip(found, (*expected, None, last), strict=True):
        assert other is None or torch.equal(one, other)
    torch.testing.assert_close(found[-2], leaking, rtol=1e-4, atol=1e-7)


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
    program = "from tinyguard.native.library import library; print(library())"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "None\n"


def test_it_is_built_once(tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    program = "from tinyguard.native.library import library; print(library() is not None)"
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True
        )
        assert done.stdout == "True\n"
        environment["PATH"] = ""  # the second time nothing is compiled
    assert len(list((tmp_path / "tinyguard").iterdir())) == 1
