# SPDX-License-Identifier: Apache-2.0
"""Outputs of a converted file matched with the source's: arrays alone, no converter."""

from itertools import permutations

import numpy as np
import pytest

from tinyguard.errors import TinyguardError
from tinyguard.quantize.axes import best_layout, described, moved
from tinyguard.quantize.matching import Outputs, TiedError, match_outputs, match_quantized


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    """float32 (8, *shape)."""
    return np.random.default_rng(seed).normal(size=(8, *shape)).astype(np.float32)


def outputs(*values: np.ndarray, names: tuple[str, ...] = ()) -> Outputs:
    """Outputs that are tensors of their own."""
    return Outputs(values, names or tuple(f"t{place}" for place in range(len(values))), range(len(values)))


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((4, 6, 5), (1, 2, 0)),
        ((4, 4, 4), (1, 2, 0)),
        ((4, 4, 4), ()),
        ((4, 4, 4), (2, 0, 1)),
        ((3, 7), (1, 0)),
        ((7, 7), (1, 0)),
        ((2, 3, 3, 2), (1, 2, 3, 0)),
        ((2, 2, 2, 2, 2), (1, 2, 3, 4, 0)),
        ((), ()),
        ((5,), ()),
    ],
)
def test_layouts_are_found_by_shape_and_value(shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
    wanted = drawn(*shape)
    noise = 1e-6 * drawn(*shape, seed=1)
    layout = best_layout(wanted, moved(wanted, axes) + moved(noise, axes))
    assert layout is not None
    assert layout.axes == axes
    assert layout.error < 1e-5


@pytest.mark.parametrize(
    ("shape", "file"), [((4, 1, 1), (1, 1, 4)), ((4, 1, 1), (4,)), ((1,), ()), ((6,), (2, 3))]
)
def test_axes_of_size_one_say_nothing(shape: tuple[int, ...], file: tuple[int, ...]) -> None:
    wanted = drawn(*shape)
    layout = best_layout(wanted, wanted.reshape(8, *file))
    assert layout is not None
    assert (layout.axes, layout.error) == ((), 0)


def test_constant_maps_keep_their_layout() -> None:
    layout = best_layout(np.ones((8, 4, 4, 4)), np.ones((8, 4, 4, 4)))
    assert layout is not None
    assert layout.axes == ()
    assert best_layout(drawn(3), drawn(4)) is None


def test_layouts_in_words() -> None:
    assert described((4, 6, 5), (1, 2, 0)) == "(4, 6, 5) (channels first) became (6, 5, 4) (channels last)"
    assert described((4, 6, 5), (2, 0, 1)) == "(4, 6, 5) became (5, 4, 6): its axes 2, 0, 1"


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_every_order_of_equal_sizes_is_found(order: tuple[int, ...]) -> None:
    wanted = [drawn(5, seed=seed) for seed in range(3)]
    wanted[1] = wanted[0] + 1e-3  # nearer to each other than the tolerance, and still apart
    found = [wanted[place] + 1e-6 for place in order]
    matches = match_outputs("net", outputs(*wanted), outputs(*found))
    assert [order[match.place] for match in matches] == [0, 1, 2]
    assert not any(match.tied for match in matches)


def test_equal_values_are_matched_by_name_or_refused() -> None:
    zeros, other = np.zeros((8, 4), np.float32), drawn(4)
    wanted = outputs(zeros, other, zeros, names=("a", "b", "c"))
    found = outputs(zeros, zeros, other, names=("Identity_2", "Identity", "Identity_1"))
    hints = ("Identity", "Identity_1", "Identity_2")
    matches = match_outputs("net", wanted, found, hints)
    assert [match.place for match in matches] == [1, 2, 0]
    assert [match.tied for match in matches] == [True, False, True]
    for unknown in ((), ("x", "y", "z"), ("Identity", "Identity_1", "Identity")):
        with pytest.raises(TiedError, match="outputs 0 'a' and 2 'c' of net have the same values on every"):
            match_outputs("net", wanted, found, unknown)


def test_a_name_does_not_outweigh_a_value() -> None:
    zeros, other = np.zeros((8, 4), np.float32), drawn(4)
    found = outputs(zeros, zeros, other, names=("A", "B", "C"))
    with pytest.raises(TiedError):
        match_outputs("net", outputs(zeros, other, zeros), found, ("C", "B", "A"))


def test_one_tensor_twice_is_refused() -> None:
    values = drawn(4)
    found = Outputs((values, drawn(3), values), ("t", "u", "t"), (7, 5, 7))
    with pytest.raises(TinyguardError, match="outputs 0 'a' and 1 'b' of net are one tensor: leave one"):
        match_outputs("net", outputs(values, values, drawn(3), names=("a", "b", "c")), found)


def test_other_values_and_sizes_are_refused() -> None:
    one, two = drawn(4), drawn(4, seed=1)
    with pytest.raises(TinyguardError, match="changed what net computes: output 1 'b' differs by up to"):
        match_outputs("net", outputs(one, two, names=("a", "b")), outputs(drawn(4, seed=2), one))
    with pytest.raises(TinyguardError, match="changed what net computes: its outputs differ"):
        match_outputs("net", outputs(one), outputs(np.full_like(one, np.nan)))
    with pytest.raises(TinyguardError, match="outputs of other sizes"):
        match_outputs("net", outputs(one, two), outputs(one))


def test_quantized_outputs_are_matched_by_names_and_else_by_values() -> None:
    one, two = drawn(4), drawn(4, seed=1)
    near = [two + 0.02 * drawn(4, seed=2), one + 0.02 * drawn(4, seed=3)]
    named = outputs(*near, names=("b", "a"))
    assert match_quantized("net", outputs(one, two, names=("a", "b")), named) == (1, 0)
    renamed = outputs(*near, names=("b_int8", "a_int8"))
    assert match_quantized("net", outputs(one, two, names=("a", "b")), renamed) == (1, 0)
    with pytest.raises(TiedError):
        match_quantized("net", outputs(one, one + 1e-4), outputs(one + 0.01, one - 0.01, names=("x", "y")))
