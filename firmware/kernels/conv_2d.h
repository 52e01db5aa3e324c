/* SPDX-License-Identifier: Apache-2.0 */
/* CONV_2D: int8 (per-channel weights) and int16x8. NHWC input, OHWI weights.
   Reference: TFLite kernels/internal/reference/integer_ops/conv.h */
#ifndef TG_CONV_2D_H
#define TG_CONV_2D_H

#include "dot.h"
#include "window.h"

typedef struct {
    int32_t batches, groups;
    int32_t input_height, input_width, input_channels;
    int32_t output_height, output_width, output_channels;
    int32_t kernel_height, kernel_width;
    int32_t stride_height, stride_width;
    int32_t dilation_height, dilation_width;
    int32_t pad_top, pad_left;
    int32_t input_offset;  /* minus the input's zero point */
    int32_t output_offset; /* the output's zero point */
    int32_t low, high;     /* clamp */
    int32_t wide;          /* int16: requantize 64-bit accumulators */
} tg_conv_2d_shape;

/* One pixel of two output channels; `input` begins at the group's first channel. */
TG_INLINE void tg_conv_2d_pixel_s8(const tg_conv_2d_shape *s, const int8_t *input, int32_t y, int32_t x,
                                   const int8_t *weights_0, const int8_t *weights_1, int32_t *acc_0,
                                   int32_t *acc_1)
{
    const int32_t depth = s->input_channels / s->groups;
    const int32_t last_row = tg_last_tap(y, s->dilation_height, s->kernel_height, s->input_height);
    const int32_t first_column = tg_first_tap(x, s->dilation_width);
    const int32_t last_column = tg_last_tap(x, s->dilation_width, s->kernel_width, s->input_width);
    if (last_column <= first_column) {
        return;
    }
    for (int32_t row = tg_first_tap(y, s->dilation_height); row < last_row; row++) {
        const int32_t line = (y + row * s->dilation_height) * s->input_width;
        const int32_t taps = row * s->kernel_width;
        if (s->dilation_width == 1 && s->groups == 1) { /* the window's row lies in one run */
            const int32_t from = (line + x + first_column) * depth;
            const int32_t tap = (taps + first_column) * depth;
            tg_dot_2(input + from, weights_0 + tap, weights_1 + tap, (last_column - first_column) * depth,
                     s->input_offset, acc_0, acc_1);
            continue;
        }
        for (int32_t column = first_column; column < last_column; column++) {
            const int32_t from = (line + x + column * s->dilation_width) * s->input_channels;
            const int32_t tap = (taps + column) * depth;
            tg_dot_2(input + from, weights_0 + tap, weights_1 + tap, depth, s->input_offset, acc_0, acc_1);
        }
    }
}

TG_INLINE void tg_conv_2d_s8(const tg_conv_2d_shape *s, const int8_t *input, const int8_t *weights,
                             const int32_t *bias, const int32_t *multipliers, const int8_t *shifts,
                             int8_t *output)
{
    const int32_t depth = s->input_channels / s->groups;
    const int32_t per_group = s->output_channels / s->groups;
    const int32_t filter = s->kernel_height * s->kernel_width * depth;
    const int32_t image = s->input_height * s->input_width * s->input_channels;
    for (int32_t pixel = 0; pixel < s->batches * s->output_height * s->output_width; pixel++) {
        const int32_t row = pixel / s->output_width % s->output_height;
        const int32_t y = row * s->stride_height - s->pad_top;
        const int32_t x = pixel % s->output_width * s->stride_width - s->pad_left;
        const int8_t *in = input + pixel / (s->output_height * s->output_width) * image;
        for (int32_t group = 0; group < s->groups; group++, in += depth) {
            const int32_t end = (group + 1) * per_group;
            for (int32_t c = group * per_group; c < end; c += 2) {
                const int32_t pair = c + 1 < end ? 1 : 0;
                int32_t acc[2] = {bias[c], bias[c + pair]};
                tg_conv_2d_pixel_s8(s, in, y, x, weights + c * filter, weights + (c + pair) * filter, &acc[0],
                                    &acc[1]);
                for (int32_t k = c; k <= c + pair; k++) {
                    output[k] = tg_requantize_s8(acc[k - c], multipliers[k], shifts[k], s->output_offset,
                                                 s->low, s->high);
                }
            }
        }
        output += s->output_channels;
    }
}

/* One pixel of one output channel of the int16x8 form. */
TG_INLINE int64_t tg_conv_2d_pixel_s16(const tg_conv_2d_shape *s, const int16_t *input, int32_t y, int32_t x,
                                       const int8_t *weights, int64_t acc)
{
    const int32_t depth = s->input_channels / s->groups;
    const int32_t last_row = tg_last_tap(y, s->dilation_height, s->kernel_height, s->input_height);
    const int32_t last_column = tg_last_tap(x, s->dilation_width, s->kernel_width, s->input_width);
    for (int32_t row = tg_first_tap(y, s->dilation_height); row < last_row; row++) {
        const int32_t line = (y + row * s->dilation_height) * s->input_width;
        for (int32_t column = tg_first_tap(x, s->dilation_width); column < last_column; column++) {
            const int16_t *from = input + (line + x + column * s->dilation_width) * s->input_channels;
            acc = tg_dot_s16(from, weights + (row * s->kernel_width + column) * depth, depth, acc);
        }
    }
    return acc;
}

TG_INLINE void tg_conv_2d_s16(const tg_conv_2d_shape *s, const int16_t *input, const int8_t *weights,
                              const int64_t *bias, const int32_t *multipliers, const int8_t *shifts,
                              int16_t *output)
{
    const int32_t depth = s->input_channels / s->groups;
    const int32_t per_group = s->output_channels / s->groups;
    const int32_t filter = s->kernel_height * s->kernel_width * depth;
    const int32_t image = s->input_height * s->input_width * s->input_channels;
    for (int32_t pixel = 0; pixel < s->batches * s->output_height * s->output_width; pixel++) {
        const int32_t row = pixel / s->output_width % s->output_height;
        const int32_t y = row * s->stride_height - s->pad_top;
        const int32_t x = pixel % s->output_width * s->stride_width - s->pad_left;
        const int16_t *in = input + pixel / (s->output_height * s->output_width) * image;
        for (int32_t c = 0; c < s->output_channels; c++) {
            const int64_t acc =
                tg_conv_2d_pixel_s16(s, in + c / per_group * depth, y, x, weights + c * filter, bias[c]);
            *output++ = tg_requantize_s16(acc, multipliers[c], shifts[c], s->low, s->high, s->wide);
        }
    }
}

#endif
