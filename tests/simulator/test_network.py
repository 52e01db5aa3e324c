# SPDX-License-Identifier: Apache-2.0
"""The simulator: exact whatever the batch, and differentiable straight through the rounding."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.codegen.networks import chain, convolution
from tests.operators.builder import GraphBuilder
from tinyguard.backends.compiled import CompiledBackend
from tinyguard.backends.reference import ReferenceBackend
from tinyguard.defenses.monte_carlo_dropout import find_sites, with_stochastic
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph, with_settings
from tinyguard.graph.answer import choose_output
from tinyguard.graph.execute import execute
from tinyguard.operators import resolve
from tinyguard.simulator.choose_layer import layer_of
from tinyguard.simulator.convolutions import has_dot_products
from tinyguard.simulator.network import Simulator, in_bytes
from tinyguard.tflite import read_graph
from tinyguard.tflite.record.stochastic import Stochastic

RESNET8 = Path(__file__).parents[2] / "models" / "resnet8-cifar10" / "model.tflite"
DIGITS = Path(__file__).parents[2] / "models" / "digits" / "model.tflite"


def _codes(graph: Graph, count: int, seed: int = 0) -> np.ndarray:
    shape = graph.tensors[graph.inputs[0]].shape[1:]
    return np.random.default_rng(seed).integers(-128, 128, (count, *shape)).astype(np.int8)


def test_the_batch_does_not_change_the_codes():
    graph = chain()
    codes = _codes(graph, 37)
    (whole,) = Simulator(graph, batch_size=64).run(codes)
    (pieces,) = Simulator(graph, batch_size=5).run(codes)
    singles = np.concatenate([Simulator(graph).run(row[None])[0] for row in codes])
    np.testing.assert_array_equal(whole, pieces)
    np.testing.assert_array_equal(whole, singles)


def test_reference_simulator_and_compiled_c_agree_on_every_tensor():
    graph = chain()
    codes = _codes(graph, 3)
    reference = ReferenceBackend(graph).tensors(codes)
    for other in (Simulator(graph), CompiledBackend(graph, sanitize=True)):
        found = other.tensors(codes)
        assert found.keys() == reference.keys()
        for index, expected in reference.items():
            np.testing.assert_array_equal(found[index], expected, err_msg=f"{other.name} tensor {index}")


def test_forward_gives_the_same_codes_with_and_without_a_gradient():
    graph = chain()
    x = torch.from_numpy(_codes(graph, 4).astype(np.float32))
    with torch.no_grad():
        (plain,) = Simulator(graph)(x)
    (traced,) = Simulator(graph)(x.clone().requires_grad_())
    assert torch.equal(plain, traced.detach())


@pytest.mark.skipif(not has_dot_products(), reason="this processor has no VNNI")
def test_without_a_gradient_codes_travel_as_bytes():
    """In ResNet-8 from its first layer to its mean."""
    graph = read_graph(RESNET8)
    x, layers = torch.from_numpy(_codes(graph, 2).astype(np.float32)), list(map(layer_of, resolve(graph)))
    places = in_bytes(graph, layers)
    steps = [layer.answer_in_bytes if i in places else layer.answer for i, layer in enumerate(layers)]
    with torch.no_grad():
        walked = execute(graph, steps, [x], lambda tensor: None)
        carried = {node.operator: result.dtype for node, (result,) in walked}
    floats = {name for name, dtype in carried.items() if dtype != torch.uint8}
    assert floats == {"MEAN", "FULLY_CONNECTED", "SOFTMAX"}
    assert carried.keys() - floats == {"CONV_2D", "ADD", "PAD"}


def test_a_simulator_first_used_in_inference_mode_still_has_gradients():
    graph = chain()
    simulator = Simulator(graph)
    codes = torch.from_numpy(_codes(graph, 4).astype(np.float32))
    with torch.inference_mode():
        (plain,) = simulator(codes)
    x = codes.clone().requires_grad_()
    (traced,) = simulator(x)
    traced.sum().backward()
    assert torch.equal(plain, traced.detach())
    assert (x.grad != 0).any()


def test_the_gradient_of_a_convolution_is_its_real_multiplier_inside_the_clamp():
    rng = np.random.default_rng(1)
    builder = GraphBuilder()
    last = convolution(builder, rng, builder.input((1, 6, 6, 4), "int8", 0.05, 3), 5)
    graph = builder.graph([last])
    simulator = Simulator(graph)
    operator = simulator.layers[0].operator
    x = torch.from_numpy(_codes(graph, 2).astype(np.float32)).requires_grad_()
    (y,) = simulator(x)
    upstream = torch.from_numpy(rng.normal(size=y.shape).astype(np.float32))
    y.backward(upstream)

    real = torch.tensor(np.ldexp(operator.multipliers.astype(np.float64), operator.shifts.astype(int) - 31))
    weights = torch.from_numpy(operator.weights.astype(np.float64)).permute(0, 3, 1, 2)
    z = x.detach().double().requires_grad_()
    sums = torch.nn.functional.conv2d((z - 3).permute(0, 3, 1, 2), weights, padding=1).permute(0, 2, 3, 1)
    unrounded = (sums + torch.from_numpy(operator.bias)) * real - 3
    torch.clamp(unrounded, operator.low, operator.high).backward(upstream.double())
    assert (x.grad != 0).any()
    torch.testing.assert_close(x.grad.double(), z.grad, rtol=1e-5, atol=1e-6)


def test_a_step_along_the_gradient_raises_the_output():
    graph = chain(channels=(6, 6))
    simulator = Simulator(graph)
    x = torch.from_numpy((_codes(graph, 16) // 4).astype(np.float32)).requires_grad_()
    simulator(x)[0].sum().backward()
    with torch.no_grad():
        before = simulator(x.detach())[0].flatten(1).sum(1)
        after = simulator((x + 2 * x.grad.sign()).clamp(-128, 127))[0].flatten(1).sum(1)
    assert (after > before).all()


def test_logits_are_the_dequantized_input_of_the_final_softmax():
    rng = np.random.default_rng(2)
    builder = GraphBuilder()
    last = convolution(builder, rng, builder.input((1, 4, 4, 4), "int8", 0.05, 3), 3, "NONE")
    flat = builder.node("RESHAPE", [last, builder.constant(np.array([1, 48]))], (1, 48), "int8", 0.3, -3)
    output = builder.node("SOFTMAX", [flat], (1, 48), "int8", 1 / 256, -128, beta=1.0)
    graph = builder.graph([output])
    simulator = Simulator(graph)
    codes = _codes(graph, 3)
    assert simulator.logits_tensor.index == flat
    expected = (simulator.tensors(codes)[flat].reshape(3, -1).astype(np.float32) + 3) * np.float32(0.3)
    logits = simulator.logits(torch.from_numpy(codes.astype(np.float32)))
    np.testing.assert_allclose(logits.numpy(), expected, rtol=1e-6)


def test_a_wrong_shape_is_one_clear_line():
    graph = chain()
    with pytest.raises(TinyguardError, match=r"expected \(samples, 8, 8, 4\)"):
        Simulator(graph).run(np.zeros((1, 8, 8, 3), np.int8))


def test_an_output_without_a_batch_keeps_its_whole_shape():
    builder = GraphBuilder()
    source = builder.input((1, 5), "int8", 0.1, 0)
    output = builder.node("RESHAPE", [source, builder.constant(np.array([5]))], (5,), "int8", 0.1, 0)
    graph = builder.graph([builder.node("ABS", [output], (5,), "int8", 0.1, 0)])
    codes = _codes(graph, 3)
    for backend in (Simulator(graph), ReferenceBackend(graph), CompiledBackend(graph)):
        np.testing.assert_array_equal(backend.run(codes)[0], np.abs(np.clip(codes, -127, 127)))


@pytest.mark.parametrize("samples", [3, 40])
def test_taps_are_the_outputs_and_the_logits_of_one_pass(samples: int):
    rng = np.random.default_rng(3)
    builder = GraphBuilder()
    last = convolution(builder, rng, builder.input((1, 4, 4, 4), "int8", 0.05, 3), 3, "NONE")
    flat = builder.node("RESHAPE", [last, builder.constant(np.array([1, 48]))], (1, 48), "int8", 0.3, -3)
    output = builder.node("SOFTMAX", [flat], (1, 48), "int8", 1 / 256, -128, beta=1.0)
    simulator = Simulator(choose_output(builder.graph([output, last]), 0))
    codes = torch.from_numpy(_codes(simulator.graph, samples).astype(np.float32))
    x, z = codes.clone().requires_grad_(), codes.clone().requires_grad_()
    outputs, logits = simulator.taps(x)
    for found, expected in zip(outputs, simulator(codes), strict=True):
        assert torch.equal(found, expected)
        assert not found.requires_grad
    expected = simulator.logits(z)
    assert torch.equal(logits, expected)
    logits.square().sum().backward()
    expected.square().sum().backward()
    assert torch.equal(x.grad, z.grad)
    assert (x.grad != 0).any()


def test_without_an_ending_the_logits_are_the_output_itself():
    rng = np.random.default_rng(2)
    builder = GraphBuilder()
    last = convolution(builder, rng, builder.input((1, 4, 4, 4), "int8", 0.05, 3), 3, "NONE")
    flat = builder.node("RESHAPE", [last, builder.constant(np.array([1, 48]))], (1, 48))
    simulator = Simulator(builder.graph([flat]))
    assert simulator.logits_tensor.index == flat
    assert not simulator.ends_in_probabilities


@pytest.mark.parametrize("threads", [1, 2])
def test_a_leak_changes_the_gradient_and_no_value(threads):
    simulator = Simulator(read_graph(DIGITS))
    leaky = simulator.leaky(0.25)
    codes = torch.randint(-128, 128, (40, *simulator.graph.tensors[simulator.graph.inputs[0]].shape[1:]))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = []
        for network in (simulator, leaky, simulator.leaky(0.0), simulator):
            leaf = codes.float().requires_grad_()
            outputs, logits = network.taps(leaf)
            found.append((outputs[0], logits.detach(), torch.autograd.grad(logits.sum(), leaf)[0]))
    finally:
        torch.set_num_threads(before)
    plain, other, none, again = found
    for outputs, logits, _ in found:
        assert torch.equal(outputs, plain[0])
        assert torch.equal(logits, plain[1])
    assert torch.equal(none[2], plain[2])
    assert torch.equal(again[2], plain[2])
    assert not torch.equal(other[2], plain[2])
    assert all(layer.rules.leak == 0 for layer in simulator.layers)


def test_twins_keep_rules_settings_and_constants_apart():
    """Whatever was asked of a network before, its twins answer as networks made anew."""
    sites = find_sites(read_graph(DIGITS), ["auto"])
    graph = read_graph(with_stochastic(DIGITS.read_bytes(), Stochastic(sites, 51, 3, 5)))
    simulator = Simulator(graph)
    codes = torch.from_numpy(_codes(graph, 6).astype(np.float32))

    def told(network):
        leaf = codes.clone().requires_grad_()
        outputs, logits = network.taps(leaf)
        (gradient,) = torch.autograd.grad(logits.square().sum(), leaf)
        return [*outputs, *network.in_batches(codes), logits.detach(), gradient]

    told(simulator)
    other = with_settings(graph, {"seed": 9})
    pairs = [
        (simulator.seeded(9), Simulator(other)),
        (simulator.leaky(0.5).seeded(9), Simulator(other).leaky(0.5)),
        (simulator.seeded(9).leaky(0.5), Simulator(other).leaky(0.5)),
        (simulator.leaky(0.5).leaky(0.0), Simulator(graph)),
    ]
    for twin, anew in pairs:
        assert all(map(torch.equal, told(twin), told(anew)))
    assert not torch.equal(told(simulator)[0], told(simulator.seeded(9))[0])


def test_other_constants_are_another_network():
    graph = read_graph(DIGITS)
    simulator = Simulator(graph)
    codes = _codes(graph, 40)
    simulator.run(codes)
    moved = replace(
        graph,
        tensors=tuple(
            replace(t, data=np.flip(t.data, -1).copy()) if t.is_constant and t.dtype == "int8" else t
            for t in graph.tensors
        ),
    )
    anew = Simulator(moved)
    (found,), (expected,) = simulator.with_layers(moved, anew.layers).run(codes), anew.run(codes)
    np.testing.assert_array_equal(found, expected)
    assert not np.array_equal(found, simulator.run(codes)[0])
