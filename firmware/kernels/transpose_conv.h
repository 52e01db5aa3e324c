/* SPDX-License-Identifier: Apache-2.0 */
/* TRANSPOSE_CONV: int8 (per-channel weights) and int16x8. NHWC input, OHWI weights. Gathers for each
   output what the reference scatters to it, so that no scratch is needed.
   Reference: TFLite kernels/internal/reference/integer_ops/transpose_conv.h */
#ifndef TG_TRANSPOSE_CONV_H
#define TG_TRANSPOSE_CONV_H

#include "dot.h"

typedef struct {
    int32_t batches;
    int32_t input_height, input_width, input_channels;
    int32_t output_height, output_width, output_channels;
    int32_t kernel_height, kernel_width;
    int32_t stride_height, stride_width;
    int32_t pad_top, pad_left;
    int32_t input_offset;  /* minus the input's zero point */
    int32_t output_offset; /* the output's zero point */
    int32_t low, high;     /* clamp */
    int32_t wide;          /* int16: requantize 64-bit accumulators */
} tg_transpose_conv_shape;

/* Taps that reach one output row or column: `tap`, `tap` + stride, ... below `end` see input `position`,
   `position` - 1, ... */
typedef struct {
    int32_t tap, end, position;
} tg_transpose_taps;

TG_INLINE tg_transpose_taps tg_transpose_taps_at(int32_t at, int32_t stride, int32_t kernel, int32_t size)
{
    tg_transpose_taps taps = {.tap = at % stride, .end = kernel, .position = at / stride};
    if (taps.position >= size) { /* the first taps lie beyond the input */
        taps.tap += (taps.position - (size - 1)) * stride;
        taps.position = size - 1;
    }
    if (taps.end > at + 1) { /* the last ones before it */
        taps.end = at + 1;
    }
    return taps;
}

TG_INLINE void tg_transpose_pair_s8(const tg_transpose_conv_shape *s, tg_transpose_taps rows,
                                    tg_transpose_taps columns, const int8_t *input, const int8_t *weights_0,
                                    const int8_t *weights_1, int32_t *acc_0, int32_t *acc_1)
{
    int32_t y = rows.position;
    for (int32_t i = rows.tap; i < rows.end; i += s->stride_height, y--) {
        int32_t x = columns.position;
        for (int32_t j = columns.tap; j < columns.end; j += s->stride_width, x--) {
            const int32_t tap = (i * s->kernel_width + j) * s->input_channels;
            tg_dot_2(input + (y * s->input_width + x) * s->input_channels, weights_0 + tap, weights_1 + tap,
                     s->input_channels, s->input_offset, acc_0, acc_1);
        }
    }
}

TG_INLINE void tg_transpose_conv_s8(const tg_transpose_conv_shape *s, const int8_t *input,
                                    const int8_t *weights, const int32_t *bias, const int32_t *multipliers,
                                    const int8_t *shifts, int8_t *output)
{
    const int32_t filter = s->kernel_height * s->kernel_width * s->input_channels;
    for (int32_t batch = 0; batch < s->batches; batch++) {
        for (int32_t row = 0; row < s->output_height; row++) {
            const tg_transpose_taps rows =
                tg_transpose_taps_at(row + s->pad_top, s->stride_height, s->kernel_height, s->input_height);
            for (int32_t column = 0; column < s->output_width; column++) {
                const tg_transpose_taps columns = tg_transpose_taps_at(column + s->pad_left, s->stride_width,
                                                                       s->kernel_width, s->input_width);
                for (int32_t c = 0; c < s->output_channels; c += 2) {
                    const int32_t pair = c + 1 < s->output_channels ? 1 : 0;
                    int32_t acc[2] = {bias[c], bias[c + pair]};
                    tg_transpose_pair_s8(s, rows, columns, input, weights + c * filter,
                                         weights + (c + pair) * filter, &acc[0], &acc[1]);
                    for (int32_t k = c; k <= c + pair; k++) {
                        output[k] = tg_requantize_s8(acc[k - c], multipliers[k], shifts[k], s->output_offset,
                                                     s->low, s->high);
                    }
                }
                output += s->output_channels;
            }
        }
        input += s->input_height * s->input_width * s->input_channels;
    }
}

TG_INLINE int64_t tg_transpose_sum_s16(const tg_transpose_conv_shape *s, tg_transpose_taps rows,
                                       tg_transpose_taps columns, const int16_t *input, const int8_t *weights,
                                       int64_t acc)
{
    int32_t y = rows.position;
    for (int32_t i = rows.tap; i < rows.end; i += s->stride_height, y--) {
        int32_t x = columns.position;
        for (int32_t j = columns.tap; j < columns.end; j += s->stride_width, x--) {
            acc = tg_dot_s16(input + (y * s->input_width + x) * s->input_channels,
                             weights + (i * s->kernel_width + j) * s->input_channels, s->input_channels, acc);
        }
    }
    return acc;
}

TG_INLINE void tg_transpose_conv_s16(const tg_transpose_conv_shape *s, const int16_t *input,
                                     const int8_t *weights, const int64_t *bias, const int32_t *multipliers,
                                     const int8_t *shifts, int16_t *output)
{
    const int32_t filter = s->kernel_height * s->kernel_width * s->input_channels;
    for (int32_t batch = 0; batch < s->batches; batch++) {
        for (int32_t row = 0; row < s->output_height; row++) {
            const tg_transpose_taps rows =
                tg_transpose_taps_at(row + s->pad_top, s->stride_height, s->kernel_height, s->input_height);
            for (int32_t column = 0; column < s->output_width; column++) {
                const tg_transpose_taps columns = tg_transpose_taps_at(column + s->pad_left, s->stride_width,
                                                                       s->kernel_width, s->input_width);
                for (int32_t c = 0; c < s->output_channels; c++) {
                    const int64_t acc =
                        tg_transpose_sum_s16(s, rows, columns, input, weights + c * filter, bias[c]);
                    *output++ = tg_requantize_s16(acc, multipliers[c], shifts[c], s->low, s->high, s->wide);
                }
            }
        }
        input += s->input_height * s->input_width * s->input_channels;
    }
}

#endif
