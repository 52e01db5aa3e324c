# SPDX-License-Identifier: Apache-2.0
"""An integer network in training is the simulator's, and the file it becomes is the network that was
trained."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.training.networks import DIGITS, MODELS, random_pixels
from tinyguard.backends.litert import LiteRTBackend
from tinyguard.defenses.input_filters import with_filters
from tinyguard.simulator.network import Simulator
from tinyguard.tflite import read_metadata
from tinyguard.tflite.flatbuffer import decode, encode
from tinyguard.tflite.reader import read_graph
from tinyguard.tflite.record.filters import parse_filter
from tinyguard.training.export import with_constants
from tinyguard.training.integer_network import IntegerNetwork

SAMPLES = 200
RESNET_WIDE = MODELS / "resnet8-cifar10" / "model-int16x8.tflite"


def opened(path: Path = DIGITS, rescale: bool = True) -> IntegerNetwork:
    torch.set_num_threads(1)
    return IntegerNetwork(read_graph(path), read_metadata(path), rescale)


def moved(network: IntegerNetwork, steps: int = 3, rate: float = 0.01) -> IntegerNetwork:
    """The network after some optimizer steps on random labels, so that every constant has changed."""
    shape = network.space.shape
    optimizer = torch.optim.Adam([w for group in network.weights() for w in group], lr=rate)
    for step in range(steps):
        x = torch.rand(16, *shape, generator=torch.Generator().manual_seed(step))
        loss = functional.cross_entropy(network.logits(x), torch.arange(16) % network.classes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        network.rebuild()
    return network


def codes_of(network: IntegerNetwork, count: int) -> np.ndarray:
    x = torch.rand(count, *network.space.shape, generator=torch.Generator().manual_seed(9))
    return network.space.code_array(network.space.round(x))


def test_before_training_it_is_the_file() -> None:
    network, simulator = opened(), Simulator(read_graph(DIGITS))
    codes = torch.from_numpy(codes_of(network, SAMPLES).astype(np.float32))
    x = network.space.shares(codes.numpy())
    assert torch.equal(network.logits(x), simulator.logits(codes))
    assert torch.equal(network.attacked()(x), simulator.logits(codes))
    assert with_constants(DIGITS.read_bytes(), network.graph) == with_constants(
        DIGITS.read_bytes(), read_graph(DIGITS)
    )


@pytest.mark.parametrize("rescale", [True, False])
def test_the_file_it_becomes_is_the_network_that_was_trained(rescale: bool) -> None:
    network = moved(opened(rescale=rescale))
    exported = with_constants(DIGITS.read_bytes(), network.graph)
    codes = codes_of(network, SAMPLES)
    (trained,) = network.simulator.run(codes)
    graph = read_graph(exported)
    np.testing.assert_array_equal(trained, Simulator(graph).run(codes)[0])
    np.testing.assert_array_equal(trained, LiteRTBackend(exported).run(codes)[0])
    with torch.no_grad():
        logits = network.logits(network.space.shares(codes))
        expected = Simulator(graph).logits(torch.from_numpy(codes.astype(np.float32)))
    assert torch.equal(logits, expected)
    (before,) = Simulator(read_graph(DIGITS)).run(codes)
    assert (trained != before).any()


@pytest.mark.slow
def test_a_16_bit_network_is_trained_too() -> None:
    network = moved(opened(RESNET_WIDE), steps=1)
    exported = with_constants(RESNET_WIDE.read_bytes(), network.graph)
    codes = codes_of(network, 20)
    (trained,) = network.simulator.run(codes)
    np.testing.assert_array_equal(trained, Simulator(read_graph(exported)).run(codes)[0])
    np.testing.assert_array_equal(trained, LiteRTBackend(exported).run(codes)[0])


def test_everything_else_in_the_file_is_kept() -> None:
    network = moved(opened())
    before, after = DIGITS.read_bytes(), with_constants(DIGITS.read_bytes(), network.graph)
    assert read_metadata(after) == read_metadata(before)
    old, new = decode(before), decode(after)
    assert {k: v for k, v in old.values.items() if k not in ("buffers", "subgraphs")} == {
        k: v for k, v in new.values.items() if k not in ("buffers", "subgraphs")
    }
    assert old["subgraphs"][0]["operators"] == new["subgraphs"][0]["operators"]
    changed = {
        tensor["name"]
        for tensor, other in zip(old["subgraphs"][0]["tensors"], new["subgraphs"][0]["tensors"], strict=True)
        if old["buffers"][tensor["buffer"]] != new["buffers"][other["buffer"]]
    }
    graph = network.graph
    trained = {
        graph.tensors[index].name
        for node in graph.nodes
        if node.operator in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
        for index in node.inputs[1:]
    }
    assert changed == trained


def test_a_buffer_that_other_tensors_share_is_left_to_them() -> None:
    model = decode(DIGITS.read_bytes())
    graph = read_graph(DIGITS)
    convolutions = [node for node in graph.nodes if node.operator == "CONV_2D"]
    first, second = (graph.tensors[node.inputs[2]].index for node in convolutions[:2])
    if graph.tensors[first].shape != graph.tensors[second].shape:
        second = next(
            t.index
            for t in graph.tensors
            if t.data is not None and t.index != first and t.shape == graph.tensors[first].shape
            and t.dtype == graph.tensors[first].dtype
        )  # fmt: skip
    subgraph = model["subgraphs"][0]
    tensors = list(subgraph["tensors"])
    shared = tensors[first]["buffer"]
    tensors[second] = replace(tensors[second], values=tensors[second].values | {"buffer": shared})
    subgraph = replace(subgraph, values=subgraph.values | {"tensors": tuple(tensors)})
    data = encode(replace(model, values=model.values | {"subgraphs": (subgraph,)}))
    graph = read_graph(data)
    other = graph.tensors[first].data + 1
    changed = list(graph.tensors)
    changed[first] = replace(changed[first], data=other)
    found = read_graph(with_constants(data, replace(graph, tensors=tuple(changed))))
    np.testing.assert_array_equal(found.tensors[first].data, other)
    np.testing.assert_array_equal(found.tensors[second].data, graph.tensors[second].data)


def test_weights_stay_inside_fixed_scales_and_scales_follow_the_others() -> None:
    graph = read_graph(DIGITS)
    fixed, following = (opened(rescale=rescale) for rescale in (False, True))
    for network in (fixed, following):
        with torch.no_grad():
            for weights in network.weights()[0]:
                weights.mul_(1.5)
        network.rebuild()
    for node in graph.nodes:
        if node.operator != "CONV_2D":
            continue
        index = node.inputs[1]
        old, kept, grown = (g.tensors[index] for g in (graph, fixed.graph, following.graph))
        assert kept.quantization == old.quantization
        np.testing.assert_allclose(grown.quantization.scales, np.multiply(old.quantization.scales, 1.5), 1e-5)
        np.testing.assert_array_equal(np.abs(kept.data).max(axis=(1, 2, 3)), 127)
        np.testing.assert_array_equal(grown.data, old.data)


def test_a_state_comes_back() -> None:
    network = opened()
    before = {name: value.clone() for name, value in network.state().items()}
    codes = codes_of(network, 20)
    (expected,) = network.simulator.run(codes)
    moved(network)
    network.load(before)
    np.testing.assert_array_equal(network.simulator.run(codes)[0], expected)


def test_two_threads_give_the_same_logits_and_nearly_the_same_gradients() -> None:
    network = opened()
    x, y = torch.rand(64, 8, 8, 1), torch.arange(64) % 10
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        try:
            logits = network.logits(x)
            weights = [w for group in network.weights() for w in group]
            found.append((logits.detach(), torch.autograd.grad(functional.cross_entropy(logits, y), weights)))
        finally:
            torch.set_num_threads(1)
    assert torch.equal(found[0][0], found[1][0])
    for one, two in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-5 * float(one.abs().max()))


def test_channels_that_never_change_stay_as_they_are() -> None:
    graph = read_graph(DIGITS)
    node = next(node for node in graph.nodes if node.operator == "CONV_2D")
    weights, bias = (graph.tensors[index] for index in node.inputs[1:3])
    dead = weights.data.copy(), bias.data.copy()
    dead[0][0], dead[1][0] = 0, 2**30
    tensors = list(graph.tensors)
    tensors[weights.index] = replace(weights, data=dead[0])
    tensors[bias.index] = replace(bias, data=dead[1])
    network = moved(IntegerNetwork(replace(graph, tensors=tuple(tensors)), read_metadata(DIGITS)))
    found = [network.graph.tensors[index].data for index in node.inputs[1:3]]
    assert not found[0][0].any()
    assert found[1][0] == 2**30


def test_biases_stay_inside_what_32_bits_can_sum() -> None:
    network = opened()
    with torch.no_grad():
        for bias in network.weights()[1]:
            bias.fill_(1e9)
    network.rebuild()
    codes = codes_of(network, 20)
    exported = with_constants(DIGITS.read_bytes(), network.graph)
    np.testing.assert_array_equal(network.simulator.run(codes)[0], LiteRTBackend(exported).run(codes)[0])


def test_random_pixels_reach_every_code() -> None:
    network = opened()
    pixels = random_pixels(400)
    codes = (pixels.astype(np.int16) - 128).astype(np.int8)
    x = network.laid_out(torch.from_numpy(codes))
    torch.testing.assert_close(x, torch.from_numpy(pixels.astype(np.float32) / 255), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(network.space.code_array(x), codes)


def test_a_network_behind_an_input_filter_is_trained_behind_it() -> None:
    hardened = with_filters(DIGITS.read_bytes(), [parse_filter("median:3")])
    network = moved(IntegerNetwork(read_graph(hardened), read_metadata(hardened)), steps=1)
    exported = with_constants(hardened, network.graph)
    assert read_metadata(exported) == read_metadata(hardened)
    codes = codes_of(network, 50)
    (trained,) = network.simulator.run(codes)
    np.testing.assert_array_equal(trained, Simulator(read_graph(exported)).run(codes)[0])
    plain = IntegerNetwork(read_graph(DIGITS), read_metadata(DIGITS))
    plain.load(network.state())
    assert (plain.simulator.run(codes)[0] != trained).any()
