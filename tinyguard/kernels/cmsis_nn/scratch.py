# SPDX-License-Identifier: Apache-2.0
"""The scratch that CMSIS-NN's functions want, in bytes: its arm_*_get_buffer_size, at generation.

Source: CMSIS-NN 7.0 `arm_convolve_get_buffer_sizes_s8.c`, `arm_depthwise_conv_get_buffer_sizes_s8.c`,
`arm_avgpool_get_buffer_sizes_s8.c`, compiled by GCC (the Arm compiler's variants want more).
"""

from tinyguard.operators.families.window import Axis

_MVE_DEPTHWISE_BLOCK = 124  # CH_IN_BLOCK_MVE


def is_1x1(rows: Axis, columns: Axis, groups: int) -> bool:
    """Whether a convolution works on the input as it lies, without patches."""
    plain = all(axis.kernel == axis.dilation == 1 and axis.before == 0 for axis in (rows, columns))
    return plain and groups == 1


def is_1xn(rows: Axis, columns: Axis, input_channels: int, groups: int) -> bool:
    """Whether arm_convolve_wrapper_s8 takes its path for one row."""
    one_row = rows.input == rows.kernel == 1 and columns.dilation == 1
    return one_row and columns.stride * input_channels % 4 == 0 and groups == 1


def convolve_patches(taps: int, isa: str) -> int:
    """arm_convolve_s8: patches of four pixels in int8 (MVE), of two in int16 (others)."""
    if isa == "mve":
        return 4 * _up(taps, 16)
    return 4 * _up(taps, 4)


def convolve(rows: Axis, columns: Axis, input_channels: int, groups: int, isa: str) -> int:
    """arm_convolve_wrapper_s8."""
    if is_1x1(rows, columns, groups):
        return 0
    if isa == "mve" and is_1xn(rows, columns, input_channels, groups):
        sections = row_sections(columns)
        if sections is not None:
            padding = sections[1] if _uneven(columns) else columns.before
            longest = max(columns.kernel + columns.before, columns.kernel - 1 + padding)
            return longest * input_channels
    return convolve_patches(rows.kernel * columns.kernel * input_channels, isa)


def depthwise(
    rows: Axis, columns: Axis, batches: int, input_channels: int, output_channels: int, isa: str
) -> int:
    """arm_depthwise_conv_wrapper_s8."""
    taps = rows.kernel * columns.kernel
    if isa == "mve" and input_channels == 1 and output_channels > 1:
        # an ordinary convolution, for which the weights are transposed into scratch
        return convolve(rows, columns, 1, 1, isa) + taps * output_channels
    plain = batches == rows.dilation == columns.dilation == 1
    if isa == "portable" or input_channels != output_channels or not plain:
        return 0
    if isa == "mve":
        return 4 * _MVE_DEPTHWISE_BLOCK * taps
    if rows.kernel == columns.kernel == 3 and max(rows.before, columns.before) <= 1:
        return 0
    return 2 * input_channels * taps


def average_pool(channels: int, isa: str) -> int:
    """arm_avgpool_s8."""
    return 4 * channels if isa == "dsp" else 0


def row_sections(columns: Axis) -> tuple[int, int] | None:
    """Output columns that arm_convolve_1_x_n_s8 takes for padded on the left and right.

    None where it gives the row to arm_convolve_s8.
    """
    left = -(-columns.before // columns.stride)
    after = columns.before + _uneven(columns)
    right = max(1, _truncated(after + columns.stride - 1, columns.stride)) if after else 0
    middle = max(columns.output - left - right, 0)
    return (left, right) if left + middle + right == columns.output else None


def row_is_exact(columns: Axis) -> bool:
    """Whether arm_convolve_1_x_n_s8 computes the row right with MVE.

    It takes for granted that padding is even or one more on the right, and that every padded output
    column but the last of its section misses one element only.
    """
    if columns.before * 2 + _uneven(columns) != _total_padding(columns):
        return False
    sections = row_sections(columns)
    if sections is None:
        return True
    right = sections[1]
    unpadded_end = (columns.output - right - 1) * columns.stride - columns.before + columns.kernel
    if unpadded_end > columns.input:
        return False
    if right == 0:
        return True
    start = (columns.output - right) * columns.stride - columns.before
    padding = right if _uneven(columns) else columns.before
    enough = columns.kernel - 1 + padding >= (right - 1) * columns.stride + columns.kernel
    return start >= 0 and start + columns.kernel - 1 == columns.input and enough


def _total_padding(columns: Axis) -> int:
    return (columns.output - 1) * columns.stride + columns.kernel - columns.input


def _uneven(columns: Axis) -> int:
    """1 when one side is padded more, -1 when input is left over on the right: C's remainder by 2."""
    total = _total_padding(columns)
    return total % 2 if total >= 0 else -(-total % 2)


def _truncated(value: int, divisor: int) -> int:
    return value // divisor if value >= 0 else -(-value // divisor)


def _up(size: int, unit: int) -> int:
    return -(-size // unit) * unit
