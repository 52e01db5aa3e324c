# SPDX-License-Identifier: Apache-2.0
"""Monte Carlo dropout: masks, entropies, and the passes as layers, the same bytes on every way of running."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.codegen.networks import chain
from tests.kernels.agreement import needs_emulator
from tests.operators.builder import GraphBuilder
from tinyguard import passes
from tinyguard.arithmetic.entropy import entropy_table
from tinyguard.backends.compiled import CompiledBackend
from tinyguard.backends.reference import ReferenceBackend
from tinyguard.boards import load
from tinyguard.codegen.batch import Batch
from tinyguard.codegen.prepare import prepare
from tinyguard.codegen.repeats import find_repeats
from tinyguard.defenses.monte_carlo_dropout import find_sites, with_stochastic
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph
from tinyguard.graph.answer import ENTROPY_UNITS as UNITS
from tinyguard.operators import Target, resolve
from tinyguard.operators.dropout import kept
from tinyguard.simulator.choose_layer import layer_of
from tinyguard.simulator.network import Simulator
from tinyguard.tflite import read_graph
from tinyguard.tflite.record.stochastic import Stochastic, insert_passes, site_layers

DIGITS = Path("models/digits/model.tflite")
CORES = {"m0": "microbit", "m3": "mps2-an385", "m7": "mps2-an500", "m55": "mps3-an547"}


def classifier(seed: int) -> Graph:
    """A random small network: convolution, sum with its input's projection, mean, dense, softmax."""
    rng = np.random.default_rng(seed)
    side, channels, classes = int(rng.integers(3, 9)), int(rng.integers(2, 20)), int(rng.integers(2, 12))
    b = GraphBuilder()
    x = b.input((1, side, side, 3), "int8", 0.02, -5)

    def convolution(source: int, kernel: int, activation: str) -> int:
        depth = b.tensors[source].shape[3]
        weights = b.constant(
            rng.integers(-127, 128, (channels, kernel, kernel, depth)).astype(np.int8),
            np.full(channels, 0.01),
        )
        bias = b.constant(rng.integers(-500, 500, channels).astype(np.int32), np.full(channels, 0.0002))
        options = {
            "padding": "SAME",
            "stride_h": 1,
            "stride_w": 1,
            "dilation_h_factor": 1,
            "dilation_w_factor": 1,
        }
        return b.node(
            "CONV_2D", [source, weights, bias], (1, side, side, channels), "int8",
            0.05 * kernel, -128 if activation == "RELU" else 3,
            fused_activation_function=activation, **options,
        )  # fmt: skip

    a, c = convolution(x, 3, "RELU"), convolution(x, 1, "NONE")
    total = b.node(
        "ADD", [a, c], (1, side, side, channels), "int8", 0.2, -20, fused_activation_function="NONE"
    )
    axes = b.constant(np.array([1, 2]))
    mean = b.node("MEAN", [total, axes], (1, channels), "int8", 0.1, -20, keep_dims=False)
    weights = b.constant(rng.integers(-127, 128, (classes, channels)).astype(np.int8), np.full(classes, 0.01))
    dense = b.node("FULLY_CONNECTED", [mean, weights, -1], (1, classes), "int8", 0.1, 4)
    b.node("SOFTMAX", [dense], (1, classes), "int8", 1 / 256, -128, beta=1.0)
    return b.graph()


def drawn(seed: int) -> Graph:
    """A random classifier with random sites, rate and passes."""
    rng = np.random.default_rng([7, seed])
    graph = classifier(seed)
    names = [graph.node_name(node) for node in site_layers(graph)]
    chosen = tuple(rng.permutation(names)[: int(rng.integers(1, 4))].tolist())
    key = int(rng.integers(0, 2**63))
    one = Stochastic(
        chosen, int(rng.integers(1, 129)), int(rng.integers(1, 8)), key, int(rng.integers(-1, 2000))
    )
    return insert_passes(graph, one)


def samples(graph: Graph, count: int = 6) -> np.ndarray:
    shape = graph.tensors[graph.inputs[0]].shape[1:]
    return np.random.default_rng(3).integers(-128, 128, (count, *shape)).astype(np.int8)


def assert_equal(found: tuple[np.ndarray, ...], wanted: tuple[np.ndarray, ...]) -> None:
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one.reshape(other.shape), other)


def assert_batch_agrees(batch: Batch, graphs: list[Graph]) -> None:
    """Every graph of one program against NumPy."""
    answers = batch.run_all([(k, (samples(graph),)) for k, graph in enumerate(graphs)])
    for graph, found in zip(graphs, answers, strict=True):
        assert_equal(found, ReferenceBackend(graph).run(samples(graph)))


def assert_every_way_agrees(graph: Graph) -> None:
    """The simulator, the C on the host under the sanitizers and the passes' result against NumPy."""
    x = samples(graph)
    wanted = ReferenceBackend(graph).run(x)
    assert_equal(Simulator(graph).run(x), wanted)
    assert_equal(CompiledBackend(graph, sanitize=True, optimize="-O1").run(x), wanted)
    assert_equal(ReferenceBackend(passes.optimize(graph)).run(x), wanted)


def test_masks_are_a_function_of_seed_site_and_pass() -> None:
    first = kept(5, 0, 0, 4096, 64)
    assert np.array_equal(first, kept(5, 0, 0, 4096, 64))
    assert np.array_equal(first[:100], kept(5, 0, 0, 100, 64))
    assert abs(np.mean(~first) - 0.25) < 0.03
    for other in (
        kept(6, 0, 0, 4096, 64),
        kept(5, 1, 0, 4096, 64),
        kept(5, 0, 1, 4096, 64),
        kept(5 << 32, 0, 0, 4096, 64),
    ):
        assert abs(np.mean(first == other) - 0.625) < 0.04


def test_entropy_of_the_mean_is_never_below_the_mean_of_entropies() -> None:
    table = entropy_table()
    assert table[0] == table[256] == 0
    assert table[128] == UNITS // 2
    graph = drawn(11)
    _, uncertainty = ReferenceBackend(graph).run(samples(graph, 100))
    predictive, expected, mutual, _ = uncertainty.T
    assert (predictive >= expected).all()
    assert (mutual >= 0).all()
    assert np.abs(predictive - expected - mutual).max() <= 1


def test_entropies_are_those_of_floating_point() -> None:
    graph = insert_passes(read_graph(DIGITS), Stochastic(find_sites(read_graph(DIGITS), ["auto"]), 51, 10, 3))
    simulator = Simulator(graph)
    x = samples(graph, 50)
    mean, uncertainty = simulator.run(x)
    runs = [node.outputs[0] for node in graph.nodes if node.operator == "SOFTMAX"]
    tensors = simulator.tensors(x)
    p = np.stack([(tensors[index].reshape(50, -1) + 128.0) / 256 for index in runs])
    average = p.mean(axis=0)

    def entropy(q: np.ndarray) -> np.ndarray:
        return -(q * np.log2(np.maximum(q, 1e-12))).sum(axis=-1)

    assert np.abs(mean - np.floor(average * 256 + 0.5) + 128).max() == 0
    assert np.abs(uncertainty[:, 0] / UNITS - entropy(average)).max() < 0.02
    assert np.abs(uncertainty[:, 1] / UNITS - entropy(p).mean(axis=0)).max() < 0.01


def test_the_mean_over_many_masks_is_near_the_network_without_them() -> None:
    graph = read_graph(DIGITS)
    x = samples(graph, 40)
    plain = Simulator(graph).run(x)[0].astype(np.float64)
    noisy = Simulator(insert_passes(graph, Stochastic(find_sites(graph, ["auto"]), 13, 50, 1))).run(x)[0]
    assert np.mean(noisy.argmax(1) == plain.argmax(1)) > 0.9


@pytest.mark.parametrize("seed", range(6))
def test_simulator_numpy_and_c_agree(seed: int) -> None:
    assert_every_way_agrees(drawn(seed))


@pytest.mark.slow
@pytest.mark.parametrize("isa", ["portable", "dsp"])
def test_two_hundred_networks_on_the_host(isa: str, tmp_path: Path) -> None:
    graphs = [drawn(seed) for seed in range(200)]
    batch = Batch(graphs, tmp_path / "project", sanitize=True, target=Target(isa, "balanced"))
    assert_batch_agrees(batch, graphs)


def _on_core(core: str, numbers: range, folder: Path) -> None:
    graphs = [passes.optimize(drawn(seed)) for seed in numbers]
    board = load(CORES[core])
    for start in range(0, len(graphs), 10):
        image = graphs[start : start + 10]
        batch = Batch(image, folder / f"image-{start}", board)
        assert_batch_agrees(batch, image)


@pytest.mark.parametrize("core", [pytest.param(core, marks=needs_emulator) for core in ("m3", "m7", "m55")])
def test_on_the_core(core: str, tmp_path: Path) -> None:
    _on_core(core, range(8), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("core", [pytest.param(core, marks=needs_emulator) for core in CORES if core != "m0"])
def test_two_hundred_networks_on_the_core(core: str, tmp_path: Path) -> None:
    _on_core(core, range(8, 200), tmp_path)


def test_passes_share_code_and_memory() -> None:
    plain = read_graph(DIGITS)
    one, many = (
        insert_passes(plain, Stochastic(find_sites(plain, ["auto"]), 26, count, 1)) for count in (2, 20)
    )
    assert find_repeats(many) is not None
    assert prepare(many).plan.arena_bytes == prepare(one).plan.arena_bytes
    assert prepare(many).constant_bytes == prepare(one).constant_bytes
    more = prepare(many).functions.count("static void") - prepare(one).functions.count("static void")
    assert more == 18  # a mask per pass


def test_passes_that_differ_are_planned_as_they_are() -> None:
    graph = insert_passes(read_graph(DIGITS), Stochastic(find_sites(read_graph(DIGITS), ["auto"]), 26, 3, 1))
    last = graph.nodes[-2]
    nodes = (*graph.nodes[:-2], replace(last, inputs=(last.inputs[0],)), graph.nodes[-1])
    assert find_repeats(replace(graph, nodes=nodes)) is None


def test_gradients_flow_through_the_elements_that_stay() -> None:
    graph = insert_passes(read_graph(DIGITS), Stochastic(find_sites(read_graph(DIGITS), ["auto"]), 128, 1, 2))
    (dropout,) = [operator for operator in resolve(graph) if operator.node.operator == "DROPOUT"]
    x = torch.zeros(2, *dropout.outputs[0].shape, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer_of(dropout).forward(x)[0].sum(), x)
    np.testing.assert_array_equal(gradient[0].numpy() != 0, dropout.mask())


def test_logits_are_the_logarithm_of_the_mean_softmax() -> None:
    graph = insert_passes(read_graph(DIGITS), Stochastic(find_sites(read_graph(DIGITS), ["auto"]), 51, 10, 3))
    simulator = Simulator(graph)
    x = torch.from_numpy(samples(graph, 9).astype(np.float32)).requires_grad_()
    logits = simulator.logits(x)
    assert torch.allclose(logits.exp().sum(1), torch.ones(9), atol=1e-5)
    (outputs, _), taps = simulator.taps(x)
    assert torch.equal(taps, logits)
    assert torch.allclose(taps.exp() * 256 - 128, outputs, atol=2.5)
    (gradient,) = torch.autograd.grad(logits[:, 0].sum(), x)
    assert (gradient != 0).any()


def test_other_seeds_give_other_answers_and_the_same_seed_the_same() -> None:
    graph = drawn(4)
    x = samples(graph)
    simulator = Simulator(graph)
    first = simulator.seeded(99).run(x)[0]
    np.testing.assert_array_equal(first, simulator.seeded(99).run(x)[0])
    assert any((simulator.seeded(seed).run(x)[0] != first).any() for seed in range(3))


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (Stochastic(("nowhere",), 26, 10), "'nowhere', which is not there"),
        (Stochastic((), 26, 10), "0 sites"),
        (Stochastic(("a", "a"), 26, 10), "a site twice"),
        (Stochastic(("a",), 0, 10), "a rate of 0"),
        (Stochastic(("a",), 26, 0), "0 passes"),
        (Stochastic(("a",), 26, 10, 1 << 64), "64 bits"),
    ],
)
def test_what_cannot_be_run_is_refused(one: Stochastic, words: str) -> None:
    with pytest.raises(TinyguardError, match=words):
        with_stochastic(DIGITS.read_bytes(), one)


def test_networks_without_a_softmax_and_layers_that_cannot_scale_are_refused() -> None:
    graph = chain()
    names = [graph.node_name(node) for node in site_layers(graph)]
    if names:
        from tinyguard.operators import unsupported

        assert any(
            "int8 softmax" in reason
            for reason in unsupported(insert_passes(graph, Stochastic((names[0],), 26, 2)))
        )
    pool = next(node for node in read_graph(DIGITS).nodes if node.operator == "MAX_POOL_2D")
    with pytest.raises(TinyguardError, match=r"MAX_POOL_2D .* cannot be a site"):
        with_stochastic(DIGITS.read_bytes(), Stochastic((read_graph(DIGITS).node_name(pool),), 26, 2))


@pytest.mark.parametrize(
    ("wanted", "words"),
    [(["conv"], "layers have 'conv'"), (["99"], "layer 99 cannot be a site"), (["zzz"], "no layer 'zzz'")],
)
def test_sites_as_typed_are_refused_with_what_there_is(wanted: list[str], words: str) -> None:
    with pytest.raises(TinyguardError, match=words):
        find_sites(read_graph(DIGITS), wanted)
