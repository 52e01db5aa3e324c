# SPDX-License-Identifier: Apache-2.0
"""Sums and products of two tensors, tables and clamps, on the host and on the cores."""

from pathlib import Path

import numpy as np
import pytest

from tests.kernels.agreement import DSP_BOARDS, QUICK_AND_REST, assert_agree, drawn, needs_emulator
from tests.operators.builder import ACTIVATIONS, GraphBuilder, draw_scale, draw_zero_point
from tinyguard.graph import Graph
from tinyguard.operators import Target

_UNARY = ("LOGISTIC", "TANH", "HARD_SWISH", "RELU", "RELU6", "RELU_N1_TO_1", "LEAKY_RELU", "ABS", "QUANTIZE")


def _shape(rng: np.random.Generator) -> tuple[int, ...]:
    largest = 24 if rng.random() < 0.3 else 6  # terms are tabulated for large tensors
    return (1, *(int(n) for n in rng.integers(1, largest, 2)), int(rng.integers(1, 9)))


def _sum(rng: np.random.Generator) -> Graph:
    b = GraphBuilder()
    shape = _shape(rng)
    scale = draw_scale(rng)
    ratio = 1.0 if rng.random() < 0.2 else 2.0 ** rng.uniform(-6, 6)
    x = b.input(shape, scale=scale, zero_point=draw_zero_point(rng))
    other = float(np.float32(scale * ratio))
    if rng.random() < 0.2:
        codes = rng.integers(-128, 128, shape).astype(np.int8)
        y = b.constant(codes, other, draw_zero_point(rng))
    else:
        y = b.input(shape, scale=other, zero_point=draw_zero_point(rng))
    b.node(
        str(rng.choice(["ADD", "SUB"])),
        [x, y] if rng.random() < 0.5 else [y, x],
        shape,
        "int8",
        max(scale, other) * 2.0 ** rng.uniform(-3, 4),
        draw_zero_point(rng),
        fused_activation_function=str(rng.choice(ACTIVATIONS)),
        pot_scale_int16=False,
    )
    return b.graph()


def _product(rng: np.random.Generator) -> Graph:
    b = GraphBuilder()
    shape = _shape(rng)
    inputs = [b.input(shape, rng=rng) for _ in range(2)]
    scale = b.tensors[inputs[0]].scale * b.tensors[inputs[1]].scale
    b.node(
        "MUL",
        inputs,
        shape,
        "int8",
        scale * 2.0 ** rng.uniform(1, 9),
        draw_zero_point(rng),
        fused_activation_function=str(rng.choice(ACTIVATIONS)),
    )
    return b.graph()


def _unary(rng: np.random.Generator) -> Graph:
    b = GraphBuilder()
    shape = _shape(rng)
    name = str(rng.choice(_UNARY))
    x = b.input(shape, rng=rng)
    scale, zero_point = b.tensors[x].scale, b.tensors[x].zero_point
    if name in ("LOGISTIC", "TANH"):
        scale, zero_point = (1 / 256, -128) if name == "LOGISTIC" else (1 / 128, 0)
    elif rng.random() < 0.5:
        scale, zero_point = scale * 2.0 ** rng.uniform(-2, 2), draw_zero_point(rng)
    options = {"alpha": 0.25} if name == "LEAKY_RELU" else {}
    b.node(name, [x], shape, "int8", scale, zero_point, **options)
    return b.graph()


_DRAWS = {"dsp sum": _sum, "dsp product": _product, "dsp lookup": _unary}


@pytest.mark.parametrize("kernel", _DRAWS)
@QUICK_AND_REST
def test_on_the_host(numbers: range, kernel: str, tmp_path: Path) -> None:
    assert_agree(drawn(kernel, _DRAWS[kernel], numbers), tmp_path, Target("dsp", "speed"), kernel=kernel)


@QUICK_AND_REST
def test_sums_without_a_table(numbers: range, tmp_path: Path) -> None:
    assert_agree(drawn("dsp sum", _sum, numbers), tmp_path, Target("dsp", "size"), kernel="dsp sum")


@pytest.mark.parametrize("core", [pytest.param(core, marks=needs_emulator) for core in DSP_BOARDS])
@QUICK_AND_REST
def test_on_the_core(numbers: range, core: str, tmp_path: Path) -> None:
    if len(numbers) < 100 and core != "m4":
        pytest.skip("in the full suite")
    for optimize, kernel in (("speed", "dsp sum"), ("size", "dsp sum"), ("speed", "dsp product")):
        cases = drawn(kernel, _DRAWS[kernel], numbers)
        folder = tmp_path / f"{kernel}-{optimize}"
        assert_agree(cases, folder, Target("dsp", optimize), DSP_BOARDS[core], kernel)
    cases = drawn("dsp lookup", _unary, numbers)
    assert_agree(cases, tmp_path / "lookup", Target("dsp", "speed"), DSP_BOARDS[core], "dsp lookup")
