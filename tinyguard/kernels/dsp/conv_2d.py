# SPDX-License-Identifier: Apache-2.0
"""CONV_2D on the SMLAD family: tiles of 16-bit codes, blocks of 3 pixels and 2 channels."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tinyguard.kernels.dsp.block import Block, function
from tinyguard.kernels.dsp.geometry import Geometry, geometry
from tinyguard.kernels.dsp.scaling import Scaling, scaling
from tinyguard.kernels.dsp.shared_block import shared_function, shared_name
from tinyguard.kernels.kernel import Cost, Kernel
from tinyguard.operators import Emission, Target
from tinyguard.operators.base import c_shape
from tinyguard.operators.target import GOALS

_SCRATCH_BYTES = {"speed": 8192, "balanced": 8192, "size": 4096}
_MOST_PIXELS = 96  # of a tile: more does not pay


@dataclass(frozen=True)
class Layout:
    """A layer's tile and block. `height` and `width` in output pixels, `pitch` in codes."""

    geometry: Geometry
    height: int
    width: int
    shared: bool  # the block takes its shape at run time: whole quads only

    @property
    def channels(self) -> int:
        """Of a pixel in the tile: even wherever a window could start at an odd code."""
        g = self.geometry
        return g.depth + (g.depth * self.column_step) % 2

    @property
    def column_step(self) -> int:
        g = self.geometry
        return 1 if g.columns.kernel == 1 or g.phases > 1 else g.columns.stride

    @property
    def row_step(self) -> int:
        return 1 if self.geometry.rows.kernel == 1 else self.geometry.rows.stride

    @property
    def words(self) -> int:
        """Of a run: a kernel's row."""
        codes = self.geometry.columns.kernel * self.channels
        return -(-codes // 4) * 2 if self.shared else -(-codes // 2)

    @property
    def pitch(self) -> int:
        columns = (self.width - 1) * self.column_step + self.geometry.columns.kernel
        run_end = (self.width - 1) * self.column_step * self.channels + 2 * self.words
        return max(columns * self.channels + 1, run_end + 1) // 2 * 2

    @property
    def lines(self) -> int:
        g = self.geometry
        return (self.height - 1) * self.row_step + (g.rows.kernel - 1) * g.rows.dilation + 1

    @property
    def fresh_lines(self) -> float:
        """Lines per tile that are widened, with what moving the others costs."""
        kept = max(0, self.lines - self.height * self.row_step)
        return self.lines - 0.7 * kept if self.width == self.geometry.columns.output else self.lines

    def block(self, scale: Scaling, low: int, high: int, zero_point: int) -> Block:
        g = self.geometry
        return Block(
            words=self.words,
            runs=g.rows.kernel,
            jump=2 * self.pitch * g.rows.dilation - 4 * self.words if g.rows.kernel > 1 else 0,
            spacing=2 * self.column_step * self.channels,
            channels=g.channels * g.phases,
            second=int(g.channels > 1),
            wide=int(scale.wide),
            positive=int(low >= zero_point and not scale.wide),
            zero_point=zero_point if scale.wide else 0,
            low=low,
            high=high,
        )

    @property
    def weight_words(self) -> int:
        """Widened weights of two channels."""
        return 2 * self.words * self.geometry.rows.kernel

    @property
    def overwrites(self) -> bool:
        """Whether the output may lie on the input: every tile's first new line is beyond the rows written."""
        g = self.geometry
        if g.phases > 1:
            return False
        line, row = g.columns.input * g.depth, g.columns.output * g.channels
        if self.width < g.columns.output:
            return g.rows.output == 1 and (g.columns.kernel, g.columns.stride) == (1, 1) and row <= line
        reach = (g.rows.kernel - 1) * g.rows.dilation + 1
        ends = range(self.height, g.rows.output, self.height)
        first_new = [end * g.rows.stride - g.rows.before + max(reach - g.rows.stride, 0) for end in ends]
        return all(new * line >= end * row for new, end in zip(first_new, ends, strict=True))

    def scratch_bytes(self, parameter_words: int) -> int:
        return 4 * (2 + self.weight_words + parameter_words) + 2 * self.lines * self.pitch

    @property
    def instructions(self) -> float:
        """Estimated, per inference."""
        g = self.geometry
        pixels, pairs = g.rows.output * g.output_width, -(-g.channels // 2)
        tiles = g.phases * -(-g.rows.output // self.height) * -(-g.columns.output // self.width)
        block = 16 / 3 * self.words / 2 * g.rows.kernel + 18 + 5 * g.rows.kernel / 3
        if self.shared:
            block = (5.8 * self.words / 2 + 8) * g.rows.kernel + 28
        sums = pixels * pairs * block + pixels / self.width * pairs * 60
        per_pair = self.weight_words * 0.7 + 60
        per_code = 1.2 if g.depth % 4 == 0 else 2.0 if self.channels == g.depth else 2.0 + 20 / g.depth
        return sums + tiles * (pairs * per_pair + self.fresh_lines * (self.pitch * per_code + 60))


def layout(g: Geometry, parameter_words: int, budget: int, shared: bool) -> Layout | None:
    """The tile that takes the fewest instructions within a budget of scratch bytes."""
    widths = {-(-g.columns.output // n) for n in range(1, g.columns.output + 1)}
    found = []
    for width in sorted(widths, reverse=True):
        for height in range(1, g.rows.output + 1):
            if height > 1 and (width < g.columns.output or height * width > _MOST_PIXELS):
                break
            tile = Layout(g, height, width, shared)
            if tile.scratch_bytes(parameter_words) > budget:
                break
            found.append(tile)
    return min(found, key=lambda t: t.instructions, default=None)


class _TiledConv2D(Kernel):
    """Widened tiles and a block of pixels by two channels. Weights stay int8 in flash."""

    operators: ClassVar = ("CONV_2D",)
    shared: ClassVar[bool]

    def supports(self, operator: Any, target: Target) -> bool:
        if operator.outputs[0].dtype != "int8" or operator.groups != 1:
            return False
        g = geometry(operator)
        if g is None or g.channels * 3 > 4000:
            return False
        scale = scaling(operator)
        return scale is not None and self._layout(operator, scale, target) is not None

    def _layout(self, operator: Any, scale: Scaling, target: Target) -> Layout | None:
        g = geometry(operator)
        assert g is not None
        words = 2 * scale.parameters.shape[1]
        for budget in (_SCRATCH_BYTES[target.optimize], 16384):
            found = layout(g, words, budget, self.shared)
            if found is not None:
                return found
        return None

    def _chosen(self, operator: Any, target: Target) -> tuple[Scaling, Layout]:
        scale = scaling(operator)
        assert scale is not None
        found = self._layout(operator, scale, target)
        assert found is not None
        return scale, found

    def cost(self, operator: Any, target: Target) -> Cost:
        scale, tile = self._chosen(operator, target)
        pairs = -(-tile.geometry.channels // 2)
        record = 2 + 2 * scale.parameters.shape[1] + tile.weight_words // 2
        unrolled = min(24, tile.weight_words // 4) * 44 * 4
        return Cost(tile.instructions, 4 * pairs * record, 100 if self.shared else 1200 + unrolled)

    def scratch_bytes(self, operator: Any, target: Target) -> int:
        scale, tile = self._chosen(operator, target)
        return tile.scratch_bytes(2 * scale.parameters.shape[1])

    def in_place(self, operator: Any) -> tuple[int, ...]:
        scale = scaling(operator)
        tiles = [self._layout(operator, scale, Target("dsp", goal)) for goal in GOALS] if scale else []
        single = operator.input_tensor(0).shape[0] == 1
        return (0,) if tiles and single and all(t is not None and t.overwrites for t in tiles) else ()

    def emit(self, operator: Any, c: Emission) -> str:
        scale, tile = self._chosen(operator, c.target)
        g = tile.geometry
        output = operator.outputs[0]
        c.kernel("dsp/conv_2d.h")
        block = tile.block(scale, operator.low, operator.high, output.zero_point)
        name = shared_name(block) if self.shared else block.name
        c.function(name, shared_function(block) if self.shared else function(block))
        weights = c.constant(
            "weights",
            records(g, tile, scale),
            _row_words(tile, scale),
        )
        shape = c_shape(
            "tg_dsp_conv_2d_shape",
            **shape_fields(tile, operator),
            narrow_words=tile.weight_words // 2,
            wide_words=tile.weight_words,
            parameter_words=2 * scale.parameters.shape[1],
        )
        block_shape = f"static const tg_conv_block block = {{{block.initializer}}};"
        call = "tg_dsp_conv_2d_shared" if self.shared else "tg_dsp_conv_2d"
        data = f"{c.input(0)}, (const uint32_t *){weights}, {c.output()}, {c.scratch()}"
        return f"{shape}\n{block_shape}\n{call}(&shape, &block, {name},\n    {data});"


class DspConv2D(_TiledConv2D):
    """A block printed for the layer: 3 pixels, unrolled."""

    name: ClassVar = "dsp conv 3x2"
    shared: ClassVar = False


class DspConv2DShared(_TiledConv2D):
    """One block of 2 pixels for all layers, in loops: slower by a fifth, a tenth of the code."""

    name: ClassVar = "dsp conv 2x2 shared"
    shared: ClassVar = True


def shape_fields(tile: Layout, operator: Any) -> dict[str, int]:
    """Fields of a C `tg_dsp_conv_2d_shape`, but for the weights'."""
    g = tile.geometry
    return {
        "batches": g.batches,
        "input_height": g.rows.input,
        "input_width": g.columns.input,
        "input_channels": g.depth,
        "output_height": g.rows.output,
        "output_width": g.output_width,
        "phases": g.phases,
        "whole_lines": int(tile.width == g.columns.output),
        "output_channels": g.channels,
        "kernel_height": (g.rows.kernel - 1) * g.rows.dilation + 1,
        "kernel_width": g.columns.kernel,
        "stride_height": g.rows.stride,
        "stride_width": g.step,
        "pad_top": g.rows.before,
        "pad_left": g.columns.before,
        "input_offset": -operator.input_tensor(0).zero_point,
        "tile_height": tile.height,
        "tile_width": tile.width,
        "row_step": tile.row_step,
        "column_step": tile.column_step,
        "channels": tile.channels,
        "pitch": tile.pitch,
        "quads": int(g.depth % 4 == 0),
    }


def _row_words(tile: Layout, scale: Scaling) -> str:
    """For a comment: where in a row of `records` everything lies."""
    count = scale.parameters.shape[1]
    each = "left shift, multiplier, left shift, round, shift" if scale.wide else "multiplier, round, shift"
    weights = 2 + 2 * count
    last = weights + tile.weight_words // 2 - 1
    return (
        "two channels per row\n"
        "words 0-1: biases\n"
        f"words 2-{1 + count}: {each} of the first channel\n"
        f"words {2 + count}-{weights - 1}: the same of the second\n"
        f"words {weights}-{last}: weights of both, four int8 per word, in the order of the block"
    )


def records(g: Geometry, tile: Layout, scale: Scaling) -> np.ndarray:
    """int32 (pairs of channels, words): biases, parameters, then weights, four int8 per word.

    An odd count of channels repeats the last but one, a single channel itself.
    """
    weights = np.where(scale.constant[:, None, None, None], 0, g.weights)
    padded = np.zeros((*weights.shape[:3], tile.channels), np.int8)
    padded[..., : g.depth] = weights
    runs = np.zeros((g.channels, g.rows.kernel, 2 * tile.words), np.int8)
    flat = padded.reshape(g.channels, g.rows.kernel, -1)
    runs[..., : flat.shape[2]] = flat
    rows = []
    for first in range(0, g.channels, 2):
        pair = [first, first + 1] if first + 1 < g.channels else [max(first - 1, 0), first]
        head = np.concatenate([scale.bias[pair], scale.parameters[pair].ravel()]).astype(np.int32)
        narrow = _interleaved(runs[pair], natural=g.depth % 4 != 0)
        rows.append(np.concatenate([head, narrow.view("<i4")]))
    return np.stack(rows)


def _interleaved(runs: np.ndarray, natural: bool) -> np.ndarray:
    """Bytes of two channels' runs (2, runs, codes): SXTB16 of a word and of the word rotated by 8 give
    what the block loads next. `natural`: the tile's codes are in their order, else 0 2 1 3."""
    quads = runs.shape[2] // 4
    body = runs[:, :, : 4 * quads].reshape(2, runs.shape[1], quads, 4)
    if natural:
        body = body[..., [0, 2, 1, 3]]
    body = body.transpose(1, 2, 0, 3).reshape(runs.shape[1], -1)
    tail = runs[:, :, 4 * quads :]
    if tail.shape[2]:
        single = np.stack([tail[0, :, 0], tail[1, :, 0], tail[0, :, 1], tail[1, :, 1]], axis=1)
        # bytes 0 and 2 are the first channel's pair, 1 and 3 the second's
        body = np.concatenate([body, single], axis=1)
    return np.ascontiguousarray(body).reshape(-1)
