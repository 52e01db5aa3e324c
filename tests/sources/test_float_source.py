# SPDX-License-Identifier: Apache-2.0
"""The float source: logits of whatever the network was trained with, differentiable."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.simulator.test_parallel import same_in_every_batch
from tinyguard.data.pixel_normalization import UNIT
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph, Quantization, Tensor
from tinyguard.graph.answer import choose_output
from tinyguard.sources.float_source import open_float_source
from tinyguard.sources.torch_module import load_torch_module
from tinyguard.tflite import read_graph

MODELS = Path(__file__).parents[2] / "models"
SOURCES = """
import torch
from torch import nn
from torch.nn import functional

class Network(nn.Module):
    def __init__(self, ending):
        super().__init__()
        self.ending = ending
        self.convolution = nn.Conv2d(3, 8, 3, 2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.dropout = nn.Dropout(0.5)
        self.dense = nn.Linear(8 * 16, 4)

    def forward(self, x):
        y = functional.relu(self.norm(self.convolution(x)), inplace=True)
        return self.ending(self.dense(self.dropout(torch.flatten(y, 1))))

def made(ending):
    torch.manual_seed(5)
    network = Network(ending)
    with torch.no_grad():
        network.norm.running_mean.uniform_(-0.1, 0.1)
        network.norm.running_var.uniform_(0.1, 2)
        network.norm.weight.uniform_(0.5, 2)
        network.norm.bias.uniform_(-0.5, 0.5)
    return network.eval()

def logits(): return made(lambda x: x)
def softmax(): return nn.Sequential(made(lambda x: x), nn.Softmax(dim=1))
def functional_softmax(): return made(lambda x: functional.softmax(x, dim=-1))
def sigmoid(): return made(torch.sigmoid)
def hidden(): return made(lambda x: functional.softmax(x, dim=1).flatten(1) * 1.0)
def branching(): return made(lambda x: x.softmax(1) if float(x.sum()) > 0 else functional.softmax(x, 1))
def several(): return made(lambda x: {"scores": x.softmax(1), "other": x})
"""


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sources") / "networks.py"
    path.write_text(SOURCES)
    return path


def _graph(shape: tuple[int, ...] = (8, 8, 3), classes: int = 4) -> Graph:
    images = Tensor(0, "images", (1, *shape), "int8", Quantization((1 / 255,), (-128,)))
    return Graph((images, Tensor(1, "scores", (1, classes), "int8")), (), (0,), (1,))


def _real(count: int, shape: tuple[int, ...] = (8, 8, 3)) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).random((count, *shape), np.float32))


def _network(sources: Path, name: str = "logits") -> Any:
    names: dict[str, Any] = {}
    exec(sources.read_text(), names)
    return names[name]()


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("logits", "logits"),
        ("softmax", "softmax"),
        ("functional_softmax", "softmax"),
        ("sigmoid", "sigmoid"),
        ("branching", "softmax"),
        ("several", "softmax"),
        ("hidden", "probabilities"),
    ],
)
def test_the_ending_is_taken_off(sources: Path, name: str, ending: str):
    source = open_float_source(f"{sources}:{name}", _graph(), UNIT)
    assert source.network.ending == ending
    real = _real(40)
    expected = _network(sources)(real.permute(0, 3, 1, 2))
    if ending == "probabilities":
        expected = expected.log_softmax(1)
    torch.testing.assert_close(source.logits(real), expected, rtol=1e-4, atol=1e-5)


def test_the_gradient_is_the_network_s(sources: Path):
    source = open_float_source(f"{sources}:softmax", _graph(), UNIT)
    assert not any(weights.requires_grad for weights in source.network.parameters())
    assert not any("batch_norm" in str(node.target) for node in source.network.network.graph.nodes)
    real, again = _real(20).requires_grad_(), _real(20).requires_grad_()
    source.logits(real).square().sum().backward()
    _network(sources)(again.permute(0, 3, 1, 2)).square().sum().backward()
    torch.testing.assert_close(real.grad, again.grad, rtol=1e-4, atol=1e-5)


def test_run_takes_codes(sources: Path):
    source = open_float_source(f"{sources}:softmax", _graph(), UNIT)
    codes = np.random.default_rng(2).integers(-128, 128, (300, 8, 8, 3)).astype(np.int8)
    (scores,) = source.run(codes)
    real = torch.from_numpy((codes.astype(np.float32) + 128) / 255)
    assert (scores.shape, scores.dtype) == ((300, 4), np.float32)
    np.testing.assert_allclose(scores, source.logits(real).numpy(), rtol=1e-4, atol=1e-5)


def test_the_module_of_a_function_is_the_function_s_own(sources: Path):
    network = load_torch_module(f"{sources}:softmax", (8, 8, 3))
    assert next(name for name, _ in network.named_parameters()).endswith("convolution.weight")
    network.train()
    network(_real(4)).sum().backward()
    assert all(weights.grad is not None for weights in network.parameters())


@pytest.mark.parametrize("kind", ["pt2", "traced", "scripted"])
def test_saved_networks(tmp_path: Path, kind: str):
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(216, 4), nn.Softmax(1)
    ).eval()
    example = torch.rand(1, 3, 8, 8)
    path = tmp_path / f"network.{'pt2' if kind == 'pt2' else 'pt'}"
    if kind == "pt2":
        torch.export.save(torch.export.export(network, (example,)), path)
    else:
        made = torch.jit.trace(network, example) if kind == "traced" else torch.jit.script(network)
        made.save(str(path))
    source = open_float_source(str(path), _graph(), UNIT)
    assert source.network.ending == "softmax"
    real = _real(20).requires_grad_()
    expected = network[:-1](real.permute(0, 3, 1, 2))
    found = source.logits(real)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    (gradient,) = torch.autograd.grad(found.square().sum(), real)
    (wanted,) = torch.autograd.grad(expected.square().sum(), real)
    torch.testing.assert_close(gradient, wanted, rtol=1e-4, atol=1e-5)


def test_keras_beside_tensorflow():
    """The digits network: Keras in its own process, whatever Keras this one has."""
    keras = pytest.importorskip("keras")
    graph = read_graph(MODELS / "digits" / "model.tflite")
    source = open_float_source(str(MODELS / "digits" / "model.keras"), graph, UNIT)
    assert source.network.ending == "softmax"
    assert [name for name, _ in source.network.named_parameters()]
    model = keras.models.load_model(MODELS / "digits" / "model.keras", compile=False)
    real = _real(20, (8, 8, 1))
    expected = np.asarray(model(real.numpy(), training=False))
    np.testing.assert_allclose(source.logits(real).softmax(1).numpy(), expected, atol=1e-5)
    targets = [str(node.target) for node in source.network.network.graph.nodes]
    assert not any("mul.Tensor" in target or "sub" in target for target in targets)


@pytest.mark.parametrize(
    ("text", "graph", "words"),
    [
        ("{}:logits", _graph((8, 8, 2)), "takes no samples of"),
        ("{}:logits", _graph(classes=5), "has 4 classes and the network 5"),
        ("{}:none", _graph(), "could not be called"),
        ("network.tflite", _graph(), "no network that torch can run"),
    ],
)
def test_what_does_not_fit_is_one_line(sources: Path, text: str, graph: Graph, words: str):
    with pytest.raises(TinyguardError, match=words) as caught:
        open_float_source(text.format(sources), graph, UNIT)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_sample_has_the_same_logits_and_gradient_in_every_batch(threads: int):
    graph = read_graph(MODELS / "resnet8-cifar10" / "model.tflite")
    source = open_float_source(f"{MODELS / 'resnet8-cifar10' / 'network.py'}:trained", graph, UNIT)
    same_in_every_batch(source.logits, _real(20, (32, 32, 3)), threads)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ["resnet8-cifar10/network.py:trained", "digits/model.keras"])
def test_queries_run_a_compiled_network_with_the_same_logits_in_every_batch(name: str, threads: int):
    graph = read_graph(MODELS / name.split("/")[0] / "model.tflite")
    source = open_float_source(f"{MODELS / name}", graph, UNIT)
    real = _real(70, graph.tensors[graph.inputs[0]].shape[1:])
    expected = source.logits(real.clone().requires_grad_()).detach()
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        whole = source.logits(real)
        assert source._for_inference() is not source.network
        torch.set_num_threads(threads)
        for count in (1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 64, 70):
            assert torch.equal(source.logits(real[-count:]), whole[-count:])
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(whole, expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(whole.argmax(1), expected.argmax(1))


def test_python_code_is_not_compiled(sources: Path):
    """A trace would forget its branches."""
    source = open_float_source(f"{sources}:branching", _graph(), UNIT)
    assert source._for_inference() is source.network


def _two_outputs(names: tuple[str, str]) -> Graph:
    images = Tensor(0, "images", (1, 8, 8, 3), "int8", Quantization((1 / 255,), (-128,)))
    outputs = tuple(Tensor(place + 1, name, (1, 4), "int8") for place, name in enumerate(names))
    return Graph((images, *outputs), (), (0,), (1, 2))


def test_the_output_of_the_same_name_is_asked_whatever_its_place(sources: Path):
    """The source returns scores, which are a softmax, and then other."""
    plain = _network(sources)
    real = _real(8)
    expected = plain(real.permute(0, 3, 1, 2))
    for names in (("other", "scores"), ("scores", "other")):
        for wanted, ending in (("scores", "softmax"), ("other", "logits")):
            graph = choose_output(_two_outputs(names), wanted)
            source = open_float_source(f"{sources}:several", graph, UNIT)
            assert source.network.ending == ending
            torch.testing.assert_close(source.logits(real), expected, rtol=1e-4, atol=1e-5)


def test_outputs_without_names_are_matched_by_place_and_doubt_is_refused(sources: Path):
    graph = choose_output(_two_outputs(("a", "b")), 1)
    assert open_float_source(f"{sources}:several", graph, UNIT).network.ending == "logits"
    alone = replace(_two_outputs(("a", "b")), outputs=(1,))
    with pytest.raises(TinyguardError, match=r"has 2 outputs, and which of them .* is not plain"):
        open_float_source(f"{sources}:several", alone, UNIT)
