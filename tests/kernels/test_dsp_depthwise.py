# SPDX-License-Identifier: Apache-2.0
"""Depthwise convolution from planes: windows, strides, paddings, bands, odd channels, multipliers."""

from pathlib import Path

import numpy as np
import pytest

from tests.kernels.agreement import DSP_BOARDS, QUICK_AND_REST, assert_agree, drawn, needs_emulator
from tests.operators.builder import ACTIVATIONS, GraphBuilder, draw_zero_point
from tests.operators.cases._sums import draw_sums
from tinyguard.graph import Graph
from tinyguard.kernels.dsp.depthwise import DepthwisePlanes
from tinyguard.operators import Target, resolve
from tinyguard.operators.families import window

_KERNELS = [(3, 3)] * 8 + [(5, 1), (15, 1), (1, 5), (10, 4), (5, 5), (1, 1), (2, 3), (7, 7), (4, 2)]


def _draw(rng: np.random.Generator) -> Graph:
    kernel = _KERNELS[int(rng.integers(len(_KERNELS)))]
    stride = [(1, 1), (2, 2), (1, 2), (2, 1), (3, 3)][int(rng.choice(5, p=[0.4, 0.3, 0.1, 0.1, 0.1]))]
    dilation = (1, 1) if rng.random() < 0.85 else (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
    padding = str(rng.choice(["SAME", "VALID"]))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    least = reach if padding == "VALID" else [1, 1]
    most = 70 if rng.random() < 0.1 else 12  # large images are computed in bands
    size = [n + int(rng.integers(0, most)) for n in least]
    channels = int(rng.choice([1, 2, 3, 4, 5, 7, 8, 12, 17])) if most == 12 else int(rng.choice([3, 4, 5]))
    multiplier = int(rng.choice([1, 1, 1, 2, 8])) if most == 12 else 1
    output = [window.axis(size[k], kernel[k], stride[k], dilation[k], padding).output for k in (0, 1)]
    b = GraphBuilder()
    x = b.input((1, *size, channels), rng=rng)
    sums = draw_sums(b, rng, x, (1, *kernel, channels * multiplier), 3, bias_dtypes=("int32", None))
    b.node(
        "DEPTHWISE_CONV_2D",
        [x, *sums.inputs],
        (1, *output, channels * multiplier),
        "int8",
        sums.output_scale,
        draw_zero_point(rng),
        padding=padding,
        stride_h=stride[0],
        stride_w=stride[1],
        dilation_h_factor=dilation[0],
        dilation_w_factor=dilation[1],
        depth_multiplier=multiplier,
        fused_activation_function=str(rng.choice(ACTIVATIONS)),
    )
    return b.graph()


_NAMES = {"speed": "dsp depthwise", "size": "dsp depthwise shared"}


@pytest.mark.parametrize("optimize", _NAMES)
@QUICK_AND_REST
def test_on_the_host(numbers: range, optimize: str, tmp_path: Path) -> None:
    cases = drawn("depthwise", _draw, numbers)
    assert_agree(cases, tmp_path, Target("dsp", optimize), kernel=_NAMES[optimize])


@pytest.mark.parametrize("core", [pytest.param(core, marks=needs_emulator) for core in DSP_BOARDS])
@pytest.mark.parametrize("optimize", _NAMES)
@QUICK_AND_REST
def test_on_the_core(numbers: range, optimize: str, core: str, tmp_path: Path) -> None:
    if len(numbers) < 100 and (core, optimize) not in {("m4", "speed"), ("m7", "size")}:
        pytest.skip("in the full suite")
    cases = drawn("depthwise", _draw, numbers)
    assert_agree(cases, tmp_path, Target("dsp", optimize), DSP_BOARDS[core], _NAMES[optimize])


def test_scratch_stays_within_8_kib_and_small_images_are_computed_in_place() -> None:
    b = GraphBuilder()
    rng = np.random.default_rng(0)
    x = b.input((1, 25, 5, 64), scale=0.1, zero_point=-128)
    sums = draw_sums(b, rng, x, (1, 3, 3, 64), 3)
    b.node(
        "DEPTHWISE_CONV_2D",
        [x, *sums.inputs],
        (1, 25, 5, 64),
        "int8",
        0.1,
        -128,
        padding="SAME",
        stride_h=1,
        stride_w=1,
        depth_multiplier=1,
    )
    (operator,) = resolve(b.graph())
    kernel = DepthwisePlanes()
    assert kernel.scratch_bytes(operator, Target("dsp")) == 4 * 7 * 28 * 2
    assert kernel.in_place(operator) == (0,)
