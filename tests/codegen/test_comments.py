# SPDX-License-Identifier: Apache-2.0
"""What generated C says of itself: the map of the arena, each layer's comment, offsets in constants."""

import re
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.codegen.networks import chain
from tinyguard.boards import load
from tinyguard.codegen import ModelSource, prepare_for
from tinyguard.codegen.c_files import model_source, weights_source
from tinyguard.kernels.dsp.block import Block
from tinyguard.kernels.dsp.scaling import scaling
from tinyguard.tflite import read_graph

DIGITS = Path(__file__).parents[2] / "models" / "digits" / "model.tflite"
ROW = re.compile(r"^ +(\d+) +(\d+)  (layers?) ([\d, -]+?)  +(.+?)(?: \*/)?$", re.M)


@pytest.fixture(scope="module")
def digits() -> ModelSource:
    return prepare_for(read_graph(DIGITS), load("mps2-an386"))


def test_the_map_shows_every_buffer_of_the_plan(digits: ModelSource) -> None:
    rows = {(int(first), int(last)) for first, last, *_ in ROW.findall(model_source([digits]))}
    assert rows == {(b.offset, b.offset + b.size_bytes - 1) for b in digits.plan.buffers}
    assert max(last for _, last in rows) < digits.plan.arena_bytes


def test_bytes_that_are_in_use_together_do_not_meet(digits: ModelSource) -> None:
    def layers(text: str) -> set[int]:
        ends = [int(number) for number in text.split("-")]
        return set(range(ends[0], ends[-1] + 1))

    rows = [(int(a), int(b), layers(when)) for a, b, _, when, _ in ROW.findall(model_source([digits]))]
    for (first, last, when), (other_first, other_last, then) in combinations(rows, 2):
        assert last < other_first or other_last < first or not when & then


def test_a_layer_says_its_shapes_products_and_kernel(digits: ModelSource) -> None:
    text = model_source([digits])
    shapes = "   1 x 8 x 8 x 16 -> 1 x 8 x 8 x 24; 24,576 MACs; kernel: dsp conv 3x2 */\n"
    assert f"{shapes}static void tg_layer_02_conv_2d" in text
    assert (
        "1 x 2 x 2 x 32 -> 1 x 128; view: no code, the same bytes */\nstatic void tg_layer_07_reshape" in text
    )


def _spans(note: str) -> dict[str, slice]:
    """Words of a row by what they hold."""
    found = re.findall(r"^words? (\d+)(?:-(\d+))?: (.+)$", note, re.M)
    return {name: slice(int(first), int(last or first) + 1) for first, last, name in found}


def test_offsets_of_a_convolution_are_where_its_numbers_lie(digits: ModelSource) -> None:
    constant = next(c for c in digits.constants if c.name == "tg_02_conv_2d_weights")
    scale, spans = scaling(digits.operators[2]), _spans(constant.note)
    assert scale is not None
    np.testing.assert_array_equal(constant.values[:, spans["biases"]].ravel(), scale.bias)
    first = constant.values[:, spans["multiplier, round, shift of the first channel"]]
    np.testing.assert_array_equal(first, scale.parameters[0::2])
    second = constant.values[:, spans["the same of the second"]]
    np.testing.assert_array_equal(second, scale.parameters[1::2])
    weights = constant.values[:, spans["weights of both, four int8 per word, in the order of the block"]]
    assert sorted(weights.ravel().view(np.int8)) == sorted(digits.operators[2].weights.ravel())
    assert spans[list(spans)[-1]].stop == constant.values.shape[1]


def test_offsets_of_a_depthwise_layer_are_where_its_numbers_lie(digits: ModelSource) -> None:
    constant = next(c for c in digits.constants if c.name == "tg_01_depthwise_conv_2d_records")
    operator, spans = digits.operators[1], _spans(constant.note)
    np.testing.assert_array_equal(
        constant.values[:, spans["multiplier, round, shift"]][:, ::2],
        np.stack([operator.multipliers, -operator.shifts], axis=1),
    )
    assert spans["bias, doubled"].stop == spans["multiplier, round, shift"].start


def test_every_word_of_a_row_has_one_meaning() -> None:
    for board in ("mps2-an386", "mps3-an547"):
        for optimize in ("speed", "size"):
            for constant in prepare_for(chain(), load(board), optimize=optimize).constants:
                spans = _spans(constant.note)
                taken = [k for span in spans.values() for k in range(span.start, span.stop)]
                assert sorted(taken) == list(range(len(taken))), constant.note
                assert not taken or constant.values.size % len(taken) == 0


def test_the_notes_stand_above_the_arrays(digits: ModelSource) -> None:
    assert (
        "   words 8-15: weights of both, four int8 per word, in the order of the block */\nconst int32_t "
        in (weights_source([digits]))
    )


_NUMBERS = st.integers(0, 3)
_BLOCKS = st.builds(
    Block,
    words=_NUMBERS,
    runs=st.integers(1, 3),
    jump=st.integers(-2, 2),
    spacing=_NUMBERS,
    channels=_NUMBERS,
    second=st.integers(0, 1),
    wide=st.integers(0, 1),
    positive=st.integers(0, 1),
    zero_point=st.integers(-2, 2),
    low=st.sampled_from((-128, -2, 0, 2)),
    high=st.sampled_from((127, 12)),
).map(lambda block: block if block.runs > 1 else replace(block, jump=0))


@given(_BLOCKS, _BLOCKS)
def test_blocks_of_one_name_are_one_block(one: Block, other: Block) -> None:
    assert (one.name == other.name) == (one == other)
    assert re.fullmatch(r"[a-z0-9_]+", one.name)
