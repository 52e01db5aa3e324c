# SPDX-License-Identifier: Apache-2.0
"""Pooling and means over pixels: windows across borders, more pixels than 16-bit lanes can sum."""

from pathlib import Path

import numpy as np
import pytest

from tests.kernels.agreement import DSP_BOARDS, QUICK_AND_REST, assert_agree, drawn, needs_emulator
from tests.operators.builder import ACTIVATIONS, GraphBuilder, draw_zero_point
from tests.operators.cases._windows import draw_windows
from tinyguard.graph import Graph
from tinyguard.operators import Target


def _pool(rng: np.random.Generator) -> Graph:
    w = draw_windows(rng, dilated=False)
    size, kernel, output, options = w.size, w.kernel, w.output, w.options
    if rng.random() < 0.3:
        side = int(rng.integers(1, 24))
        size = kernel = (side, int(rng.integers(1, 24)))
        output, options = (1, 1), {"padding": "VALID", "stride_h": 1, "stride_w": 1}
    depth = int(rng.integers(4, 14))
    b = GraphBuilder()
    x = b.input((1, *size, depth), rng=rng)
    b.node(
        str(rng.choice(["AVERAGE_POOL_2D", "MAX_POOL_2D"])),
        [x],
        (1, *output, depth),
        **options,
        filter_height=kernel[0],
        filter_width=kernel[1],
        fused_activation_function=str(rng.choice(ACTIVATIONS)),
    )
    return b.graph()


def _mean(rng: np.random.Generator) -> Graph:
    b = GraphBuilder()
    height, width, depth = int(rng.integers(2, 30)), int(rng.integers(2, 14)), int(rng.integers(4, 14))
    x = b.input((1, height, width, depth), rng=rng)
    scale = b.tensors[x].scale * 2.0 ** rng.uniform(-3, 2)
    axes = b.constant(np.array([1, 2]))
    keep = bool(rng.random() < 0.5)
    shape = (1, 1, 1, depth) if keep else (1, depth)
    b.node("MEAN", [x, axes], shape, "int8", scale, draw_zero_point(rng), keep_dims=keep)
    return b.graph()


_DRAWS = {"dsp pool": _pool, "dsp mean": _mean}


@pytest.mark.parametrize("kernel", _DRAWS)
@QUICK_AND_REST
def test_on_the_host(numbers: range, kernel: str, tmp_path: Path) -> None:
    assert_agree(drawn(kernel, _DRAWS[kernel], numbers), tmp_path, Target("dsp", "speed"), kernel=kernel)


@pytest.mark.parametrize("core", [pytest.param(core, marks=needs_emulator) for core in DSP_BOARDS])
@QUICK_AND_REST
def test_on_the_core(numbers: range, core: str, tmp_path: Path) -> None:
    if len(numbers) < 100 and core != "m7":
        pytest.skip("in the full suite")
    for kernel, draw in _DRAWS.items():
        cases = drawn(kernel, draw, numbers)
        assert_agree(cases, tmp_path / kernel, Target("dsp", "speed"), DSP_BOARDS[core], kernel)
