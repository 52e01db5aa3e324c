# SPDX-License-Identifier: Apache-2.0
"""Input filters: what they compute, and the same bytes in NumPy, torch, C on the host and on every core."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from scipy import fft, ndimage

from tests.kernels.agreement import assert_agree, needs_emulator
from tests.operators import oracles
from tests.operators.filter_cases import PARAMETERS, draw_shape, filter_case, filter_graph
from tinyguard.operators import Target, operator_names, registry, resolve
from tinyguard.operators.families.filter import Filter
from tinyguard.operators.filter_dct import DCTFilter
from tinyguard.simulator.choose_layer import layer_of
from tinyguard.simulator.filter import SmoothFilterLayer
from tinyguard.simulator.rules import GRADIENTS, Rules
from tinyguard.tflite.record.filters import KINDS, InputFilter

NAMES = tuple(KINDS)
CORES = {
    "m0": ("microbit", "portable"),
    "m3": ("mps2-an385", "portable"),
    "m4": ("mps2-an386", "dsp"),
    "m7": ("mps2-an500", "dsp"),
    "m33": ("mps2-an505", "dsp"),
    "m55": ("mps3-an547", "mve"),
}
QUICK_AND_REST = pytest.mark.parametrize(
    "numbers", [range(8), pytest.param(range(8, 200), marks=pytest.mark.slow)], ids=["quick", "rest"]
)


def images(seed: int, shape: tuple[int, ...] = (4, 11, 13, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)


def run(name: str, x: np.ndarray, **parameters: int) -> np.ndarray:
    return operator(name, x.shape, **parameters).run(x)[0]


def operator(name: str, shape: tuple[int, ...], **parameters: int) -> Filter:
    graph = filter_graph(np.random.default_rng(0), [InputFilter(name, parameters)], (1, *shape[1:]))
    (found,) = resolve(graph)
    assert isinstance(found, Filter)
    return found


@pytest.mark.parametrize("size", [2, 3])
def test_mean_is_the_rounded_mean_of_the_window(size: int) -> None:
    x = images(1)
    origin = (0, -1, -1, 0) if size == 2 else 0  # the 2x2 window begins at the element
    wanted = ndimage.uniform_filter(x.astype(np.float64), (1, size, size, 1), mode="nearest", origin=origin)
    np.testing.assert_array_equal(run("mean", x, size=size), np.floor(wanted + 0.5 + 1e-9))


def test_median_is_that_of_scipy() -> None:
    x = images(2)
    wanted = ndimage.median_filter(x, size=(1, 3, 3, 1), mode="nearest")
    np.testing.assert_array_equal(run("median", x, size=3), wanted)


@pytest.mark.parametrize(("size", "weights"), [(3, [1, 2, 1]), (5, [1, 4, 6, 4, 1])])
def test_gaussian_is_the_rounded_binomial_mean(size: int, weights: list[int]) -> None:
    x = images(3)
    kernel = np.outer(weights, weights)[None, :, :, None] / sum(weights) ** 2
    wanted = ndimage.correlate(x.astype(np.float64), kernel, mode="nearest")
    np.testing.assert_array_equal(run("gaussian", x, size=size), np.floor(wanted + 0.5))


@pytest.mark.parametrize("bits", range(1, 8))
def test_bit_depth_has_evenly_spaced_levels(bits: int) -> None:
    codes = np.arange(-128, 128).astype(np.int8)[None]
    levels = 2**bits - 1
    wanted = np.floor(np.floor((codes + 128.0) * levels / 255 + 0.5) * 255 / levels + 0.5) - 128
    found = run("bit-depth", codes, bits=bits)
    np.testing.assert_array_equal(found, wanted)
    assert len(np.unique(found)) == 2**bits
    assert found.min() == -128
    assert found.max() == 127


@pytest.mark.parametrize("quality", [10, 50, 75, 95])
def test_dct_rounds_jpegs_coefficients(quality: int) -> None:
    """scipy's orthonormal DCT, rounded to the same steps: within a code, but for the few blocks where a
    coefficient near a tie fell to the other side."""
    rng = np.random.default_rng(quality)
    x = np.clip(rng.normal(0, 20, (40, 8, 8, 1)).cumsum(1).cumsum(2) / 4, -128, 127).astype(np.int8)
    one = operator("dct", x.shape, quality=quality)
    assert isinstance(one, DCTFilter)
    blocks, steps = x[..., 0].astype(np.float64), one.steps.astype(np.float64)
    rounded = np.rint(fft.dctn(blocks, axes=(1, 2), norm="ortho") / steps) * steps
    wanted = np.clip(fft.idctn(rounded, axes=(1, 2), norm="ortho"), -128, 127)
    gap = np.abs(one.run(x)[0][..., 0] - wanted).max(axis=(1, 2))
    assert np.median(gap) <= 1
    assert gap.max() <= steps.max() / 4 + 1


def test_dct_tables_are_libjpegs() -> None:
    """The corner of libjpeg's luminance tables at qualities 50, 75 and 10."""
    corners = {50: [16, 11, 12, 12], 75: [8, 6, 6, 6], 10: [80, 55, 60, 60]}
    for quality, corner in corners.items():
        one = operator("dct", (1, 8, 8, 1), quality=quality)
        assert isinstance(one, DCTFilter)
        assert one.steps[:2, :2].ravel().tolist() == corner


def _descended(x: np.ndarray, strength: int, iterations: int) -> np.ndarray:
    """The rule of total variation, element by element."""
    height, width = x.shape
    wanted = [[64 * (int(code) + 128) for code in row] for row in x]
    u = [row[:] for row in wanted]
    w = 64 * strength
    for _ in range(iterations):
        moves = [[wanted[y][z] - u[y][z] for z in range(width)] for y in range(height)]
        for y in range(height):
            for z in range(width):
                for below, right in ((1, 0), (0, 1)):
                    if y + below < height and z + right < width:
                        flow = max(-w, min(w - 1, u[y + below][z + right] - u[y][z]))
                        moves[y][z] += flow
                        moves[y + below][z + right] -= flow
        u = [[u[y][z] + (moves[y][z] + 4) // 8 for z in range(width)] for y in range(height)]
    return np.array([[(value + 32) // 64 - 128 for value in row] for row in u])


@pytest.mark.parametrize("strength", [1, 8, 32])
def test_total_variation_follows_its_rule(strength: int) -> None:
    x = images(5, (1, 9, 7, 1))
    wanted = _descended(x[0, :, :, 0], strength, 12)
    np.testing.assert_array_equal(run("tv", x, strength=strength, iterations=12)[0, :, :, 0], wanted)


def test_total_variation_smooths_noise_and_keeps_an_edge() -> None:
    clean = np.where(np.arange(24) < 12, -60, 60)[None, None, :, None] * np.ones((1, 24, 24, 1))
    noisy = np.clip(clean + np.random.default_rng(6).normal(0, 5, clean.shape), -128, 127).astype(np.int8)
    found = run("tv", noisy, strength=4, iterations=20).astype(np.int64)
    assert np.std(found - clean) < 0.5 * np.std(noisy - clean)
    assert np.mean(found[0, :, 12] - found[0, :, 11]) > 100


@pytest.mark.parametrize("name", NAMES)
def test_what_is_flat_stays(name: str) -> None:
    """DCT may round a flat image to the next multiple of its first step."""
    parameters = {key: int(list(values)[-1]) for key, values in PARAMETERS[name].items()}
    for code in (-128, 127) if name == "bit-depth" else (-128, -7, 0, 127):
        x = np.full((1, 9, 10, 2), code, np.int8)
        assert np.abs(run(name, x, **parameters).astype(int) - code).max() <= (1 if name == "dct" else 0)


@pytest.mark.parametrize("name", NAMES)
def test_a_series_is_an_image_of_one_row(name: str) -> None:
    parameters = {key: int(list(values)[-1]) for key, values in PARAMETERS[name].items()}
    x = images(7, (3, 21, 2))
    row = run(name, x[:, None], **parameters)[:, 0]
    np.testing.assert_array_equal(run(name, x, **parameters), row)
    np.testing.assert_array_equal(run(name, x[..., 0], **parameters), row[..., 0])


@pytest.mark.parametrize("name", NAMES)
def test_torch_gives_the_same_bytes(name: str) -> None:
    for case in (filter_case(name, number) for number in range(200)):
        assert not case.difference(oracles.torch_forward(case.graph, case.samples), "torch")


@pytest.mark.parametrize("isa", ["portable", "dsp"])
@QUICK_AND_REST
def test_on_the_host(numbers: range, isa: str, tmp_path: Path) -> None:
    """Under ASan and UBSan."""
    cases = [filter_case(name, number) for name in NAMES for number in numbers]
    assert_agree(cases, tmp_path, Target(isa, "balanced"))


def _on_cores() -> list[Any]:
    found = []
    for core in CORES:
        marks = [*needs_emulator, *([] if core in ("m3", "m7", "m55") else [pytest.mark.slow])]
        found.append(pytest.param(core, marks=marks))
    return found


@pytest.mark.parametrize("core", _on_cores())
@QUICK_AND_REST
def test_on_the_core(numbers: range, core: str, tmp_path: Path) -> None:
    board, isa = CORES[core]
    cases = [filter_case(name, number) for name in NAMES for number in numbers]
    assert_agree(cases, tmp_path, Target(isa, "balanced"), board)


def filter_layer(one: Filter) -> SmoothFilterLayer:
    layer = layer_of(one)
    assert isinstance(layer, SmoothFilterLayer)
    return layer


@pytest.mark.parametrize("name", NAMES)
def test_identity_gradients_pass_as_if_nothing_was_there(name: str) -> None:
    parameters = {key: int(next(iter(values))) for key, values in PARAMETERS[name].items()}
    one = operator(name, (1, 9, 9, 2), **parameters)
    layer = layer_of(one, Rules(filter_gradient="identity"))
    x = torch.from_numpy(images(8, (2, 9, 9, 2)).astype(np.float32)).requires_grad_()
    weights = torch.rand(x.shape)
    (gradient,) = torch.autograd.grad((layer.forward(x)[0] * weights).sum(), x)
    torch.testing.assert_close(gradient, weights)


@pytest.mark.parametrize(("name", "parameters"), [("mean", {"size": 3}), ("gaussian", {"size": 5})])
def test_smooth_gradients_of_linear_filters_are_their_transpose(
    name: str, parameters: dict[str, int]
) -> None:
    """<A v, w> = <v, A' w> for the filter without rounding."""
    one = filter_layer(operator(name, (1, 7, 8, 2), **parameters))
    v = torch.randn(1, 7, 8, 2, dtype=torch.float64)
    x = torch.zeros_like(v).requires_grad_()
    w = torch.randn_like(v)
    (gradient,) = torch.autograd.grad((one.smooth(x) * w).sum(), x)
    assert torch.allclose((one.smooth(v) * w).sum(), (v * gradient).sum())


@pytest.mark.parametrize("name", NAMES)
def test_smooth_functions_stay_near_the_filter(name: str) -> None:
    for number in range(20):
        case = filter_case(name, number)
        (one,) = resolve(case.graph)
        assert isinstance(one, Filter)
        x, layer = torch.from_numpy(case.samples[0].astype(np.float32)), filter_layer(one)
        found = layer.smooth(layer.images(x)).reshape(x.shape)
        gap = np.abs(found.numpy().clip(-128, 127) - case.expected[0])
        # Half a level of bit depth or half a step of a coefficient lies between rounding and its smooth form.
        allowed = 128 if name in ("bit-depth", "dct") else 1
        assert gap.max() <= allowed, (case.describe(), gap.max())


def test_gradient_rules_are_the_two_that_are_documented() -> None:
    assert GRADIENTS == ("smooth", "identity")


def test_no_file_holds_a_filter_as_an_operator() -> None:
    filters = {kind.operator for kind in KINDS.values()}
    assert filters <= set(registry())
    assert not filters & set(operator_names())


def test_shapes_are_drawn_as_images_and_series() -> None:
    ranks = {len(draw_shape(np.random.default_rng(seed))) for seed in range(60)}
    assert ranks == {2, 3, 4}


def test_smooth_gradients_end_where_the_codes_do() -> None:
    """As everywhere in the simulator: a filter's real value outside the codes passes nothing but the leak."""
    one = filter_layer(operator("dct", (4, 8, 8, 1), quality=10))
    x = torch.from_numpy(np.sign(images(9, (4, 8, 8, 1))).astype(np.float32) * 127).requires_grad_()
    real = one.smooth(x.detach())
    assert (real.abs() > 129).any()
    for leak in (0.0, 0.5):
        upstream = torch.where(real.abs() > 129, 1.0, 0.0)
        leaf = x.detach().clone().requires_grad_()
        (expected,) = torch.autograd.grad(one.smooth(leaf), leaf, upstream * leak)
        (found,) = torch.autograd.grad(one.under(Rules(leak=leak)).forward(x)[0], x, upstream)
        torch.testing.assert_close(found, expected)


class Halved(Filter):
    """A filter as another package may bring it: half of each code."""

    names: ClassVar = ("FILTER_HALVED",)

    def prepare_filter(self) -> None:
        pass

    def filtered(self, images: np.ndarray) -> np.ndarray:
        return images // 2

    def surrogate(self, *inputs: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        (x,) = inputs
        assert x is not None
        return (x / 2,)

    def emit(self, c: object) -> str:
        raise NotImplementedError


def test_a_filter_of_another_package_follows_both_rules() -> None:
    graph = filter_graph(np.random.default_rng(0), [InputFilter("mean", {"size": 2})], (1, 4, 4, 1))
    halved = Halved(graph, graph.nodes[0])
    for rule, expected in (("smooth", 0.5), ("identity", 1.0)):
        x = torch.from_numpy(images(3, (2, 1, 4, 4, 1)).astype(np.float32)).requires_grad_()
        (y,) = layer_of(halved, Rules(filter_gradient=rule)).forward(x)
        np.testing.assert_array_equal(y.detach().numpy(), np.floor(x.detach().numpy() / 2))
        (gradient,) = torch.autograd.grad(y.sum(), x)
        assert (gradient == expected).all()
