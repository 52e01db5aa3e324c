# SPDX-License-Identifier: Apache-2.0
"""The networks of MLPerf Tiny: what passes find in them, and no byte of any output changes."""

import os
from pathlib import Path

import numpy as np
import pytest

from tests.passes.proof import assert_same, depth_of, macs, operators_of
from tinyguard.passes import optimize
from tinyguard.tflite import read_graph

MODELS = Path(os.environ.get("TINYGUARD_SHARED", Path(__file__).parents[3] / "shared")) / "models"
MACS = {  # before, after
    "vww_96_int8.tflite": (7_489_664, 3_727_313),
    "pretrainedResnet_quant.tflite": (12_501_632, 12_501_632),
    "kws_ref_model.tflite": (2_656_768, 2_656_768),
}

needs_models = pytest.mark.skipif(not MODELS.is_dir(), reason="needs the networks in TINYGUARD_SHARED")


@needs_models
@pytest.mark.parametrize("multiple", [1, 4])
@pytest.mark.parametrize("name", MACS)
def test_no_output_byte_changes(name: str, multiple: int) -> None:
    graph = read_graph(MODELS / name)
    result = optimize(graph, multiple)
    assert result.sha256 == graph.sha256 != ""
    before, after = MACS[name]
    assert macs(graph) == before
    assert macs(result) == after if multiple == 1 else after <= macs(result) <= after * 1.1
    shape = graph.tensors[graph.inputs[0]].shape
    rng = np.random.default_rng(1)
    codes = rng.integers(-128, 128, (40, *shape))
    codes[10:20] = rng.integers(-128, 128, (10, *(1,) * len(shape)))  # flat images
    codes[20:30] = np.clip(codes[20:30] // 8 + rng.integers(-100, 100, (10, *(1,) * len(shape))), -128, 127)
    codes[-2], codes[-1] = -128, 127
    assert_same(graph, result, [codes.astype(np.int8)])


@needs_models
def test_dead_channels_leave_the_person_detector() -> None:
    graph = optimize(read_graph(MODELS / "vww_96_int8.tflite"))
    depths = [depth_of(graph, node.outputs[0]) for node in graph.nodes if node.operator == "CONV_2D"]
    assert depths == [8, 16, 32, 32, 64, 60, 106, 57, 30, 19, 15, 25, 31, 22]
    assert operators_of(graph)[-2:] == ["FULLY_CONNECTED", "SOFTMAX"]
