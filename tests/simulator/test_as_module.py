# SPDX-License-Identifier: Apache-2.0
"""The integer network as other libraries take it: images in [0, 1] in, logits out."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.codegen.networks import chain
from tinyguard.data import Samples, to_codes
from tinyguard.data.pixel_normalization import PRESETS
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph, Quantization
from tinyguard.simulator.network import Simulator
from tinyguard.tflite import Metadata, Normalization
from tinyguard.tflite.metadata import format_metadata

NORMAL = Normalization((100.0, 120.0, 90.0, 127.5), (60.0, 255.0, 63.75, 127.5))


def _graph(normalization: Normalization | None, scale: float = 1 / 32, zero_point: int = -5) -> Graph:
    graph = chain()
    tensors = list(graph.tensors)
    index = graph.inputs[0]
    quantization = Quantization((float(np.float32(scale)),), (zero_point,))
    tensors[index] = replace(tensors[index], quantization=quantization)
    record = (
        {}
        if normalization is None
        else {"tinyguard": format_metadata(Metadata.of(normalization=normalization))}
    )
    roles = {graph.outputs[0]: "scores"}
    return replace(graph, tensors=tuple(tensors), metadata=record, roles=roles)


def _pixels() -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, (64, 8, 8, 4)).astype(np.uint8)


@pytest.mark.parametrize(
    ("normalization", "scale", "zero_point"),
    [
        (NORMAL, 1 / 32, -5),
        (PRESETS["unit"], 1 / 255, -128),
        (PRESETS["unit"], 2 / 255, -64),
        (PRESETS["symmetric"], 1 / 127.5, 0),
        (None, 1.0, -128),
    ],
)
def test_a_pixel_has_the_code_of_to_codes(normalization, scale, zero_point):
    graph = _graph(normalization, scale, zero_point)
    metadata = Metadata.of(normalization=normalization)
    codes = to_codes(Samples(_pixels()), graph.tensors[graph.inputs[0]], metadata)
    simulator = Simulator(graph)
    expected = simulator.logits(torch.from_numpy(codes.astype(np.float32)))
    shares = torch.from_numpy(_pixels().astype(np.float32) / 255)
    nchw = simulator.as_module()
    torch.testing.assert_close(nchw._codes(shares), torch.from_numpy(codes).float(), rtol=0, atol=0)
    assert torch.equal(nchw(shares.permute(0, 3, 1, 2).contiguous()), expected)
    assert torch.equal(simulator.as_module("nhwc")(shares), expected)


def test_the_gradient_is_by_share_of_the_pixel_range():
    simulator = Simulator(_graph(NORMAL))
    module = simulator.as_module("nhwc")
    shares = torch.from_numpy(_pixels()[:16].astype(np.float32) / 255).requires_grad_()
    module(shares).square().sum().backward()
    codes = module._codes(shares.detach()).requires_grad_()
    simulator.logits(codes).square().sum().backward()
    per_code = torch.tensor(NORMAL.std) / 32 / 255
    assert (shares.grad != 0).any()
    torch.testing.assert_close(shares.grad, codes.grad / per_code, rtol=1e-5, atol=0)


def test_shares_outside_stay_in_the_box_and_between_pixels_are_rounded():
    module = Simulator(_graph(PRESETS["unit"], 1 / 255, -128)).as_module("nhwc")
    shares = torch.tensor([-1.0, 0.4 / 255, 0.6 / 255, 1.0, 9.0]).reshape(5, 1, 1, 1).expand(5, 8, 8, 4)
    assert module._codes(shares)[:, 0, 0, 0].tolist() == [-128, -128, -127, 127, 127]


def test_scores_are_the_dequantized_output():
    simulator = Simulator(_graph(None))
    module = simulator.as_module("nhwc", output="scores")
    shares = torch.from_numpy(_pixels().astype(np.float32) / 255)
    output = simulator.graph.tensors[simulator.graph.outputs[0]]
    (codes,) = simulator.run((_pixels().astype(np.int16) - 128).astype(np.int8))
    expected = (codes.astype(np.float32) - output.zero_point) * np.float32(output.scale)
    np.testing.assert_allclose(module(shares).numpy(), expected.reshape(64, -1), rtol=1e-6)


def test_other_words_are_refused():
    with pytest.raises(TinyguardError, match="no layout nwhc"):
        Simulator(_graph(None)).as_module("nwhc")


def test_it_has_a_device_and_nothing_to_train():
    module = Simulator(_graph(NORMAL)).as_module()
    assert next(module.parameters()).device == torch.device("cpu")
    assert not any(parameter.requires_grad for parameter in module.parameters())
