# SPDX-License-Identifier: Apache-2.0
"""The space of inputs: budgets in whole codes, rounding, L2 balls on the grid."""

import numpy as np
import pytest
import torch

from tinyguard.attacks.space import l2, space_of
from tinyguard.errors import TinyguardError
from tinyguard.graph import Quantization, Tensor
from tinyguard.tflite.metadata import Normalization

UNIT = Normalization((0.0,), (255.0,))
STEP = float(np.float32(1 / 255))


def _tensor(scale=STEP, zero_point=-128, dtype="int8"):
    return Tensor(0, "input", (1, 4, 4, 3), dtype, Quantization((scale,), (zero_point,)))


@pytest.mark.parametrize("codes", range(1, 256))
def test_every_whole_budget_is_itself(codes):
    space = space_of(_tensor(), UNIT)
    assert space.grid_steps(codes / 255).tolist() == [codes]
    assert space.grid_steps(codes / 255 * 0.999).tolist() == [codes - 1]


def test_scale_of_one_is_the_same_grid():
    ours, theirs = space_of(_tensor(), UNIT), space_of(_tensor(1.0, -128), None)
    codes = np.arange(-128, 112, 5, dtype=np.int8).reshape(1, 4, 4, 3)
    torch.testing.assert_close(ours.shares(codes), theirs.shares(codes))
    for space in (ours, theirs):
        np.testing.assert_array_equal(space.code_array(space.shares(codes)), codes)


def test_budget_in_codes_of_each_channel():
    imagenet = Normalization((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
    space = space_of(_tensor(0.0186, -14), imagenet)
    steps = 0.0186 * np.array(imagenet.std) / 255
    np.testing.assert_array_equal(space.grid_steps(0.03).numpy(), np.floor(0.03 / steps))


def test_eps_under_one_code_names_the_way_out():
    with pytest.raises(TinyguardError, match="--setting transfer"):
        space_of(_tensor(), UNIT).linf_radius(0.9 / 255)


def test_pixel_grid_of_int16():
    space = space_of(_tensor(float(np.float32(1 / 32767)), 0, "int16"), UNIT)
    x = torch.linspace(0, 1, 48).reshape(1, 4, 4, 3)
    rounded = space.round(x)
    torch.testing.assert_close(rounded * 255, torch.round(rounded * 255), atol=1e-4, rtol=0)
    every_code = space_of(_tensor(float(np.float32(1 / 32767)), 0, "int16"), UNIT, "codes")
    assert (every_code.round(x) - x).abs().max() < 1 / 32767


@pytest.mark.parametrize("codes", [1.0, 5.0, 20.0, 100.0])
def test_rounding_an_l2_ball_fills_it(codes):
    tensor = Tensor(0, "input", (1, 32, 32, 3), "int8", Quantization((float(np.float32(1 / 255)),), (-128,)))
    space = space_of(tensor, UNIT)
    generator = torch.Generator().manual_seed(1)
    clean = space.round(torch.rand(4, 32, 32, 3, generator=generator))
    radius = torch.tensor([codes / 255])
    delta = torch.randn(clean.shape, generator=generator)
    iterate = space.project(clean + delta, clean, "l2", radius)
    size = l2(space.settle(iterate, clean, "l2", radius) - clean) * 255
    assert (size <= codes * 1.00001).all()
    assert (size > 0.9 * codes - 1).all()


@pytest.mark.parametrize(("dtype", "scale"), [("int8", STEP), ("int8", 0.017), ("int16", 1 / 32767)])
def test_codes_of_the_rounding_skip_it_where_codes_are_the_grid(dtype: str, scale: float):
    space = space_of(_tensor(scale, -128 if dtype == "int8" else 0, dtype), UNIT)
    generator = torch.Generator().manual_seed(3)
    x = torch.rand(500, *space.shape, generator=generator) * 1.4 - 0.2
    halves = space.code_offset + space.code_step * (torch.arange(-130.0, 130)[:, None, None, None] + 0.5)
    for points in (x, space.round(x), halves.expand(-1, *space.shape)):
        assert torch.equal(space.rounded_codes(points), space.codes(space.round(points)))
