/* SPDX-License-Identifier: Apache-2.0 */
/* DEPTHWISE_CONV_2D: int8 (per-channel weights) and int16x8. NHWC input, weights (row, column, output
   channel). Reference: TFLite kernels/internal/reference/integer_ops/depthwise_conv.h */
#ifndef TG_DEPTHWISE_CONV_2D_H
#define TG_DEPTHWISE_CONV_2D_H

#include "dot.h"
#include "window.h"

typedef struct {
    int32_t batches;
    int32_t input_height, input_width, input_channels;
    int32_t output_height, output_width;
    int32_t depth_multiplier; /* output channels per input channel */
    int32_t kernel_height, kernel_width;
    int32_t stride_height, stride_width;
    int32_t dilation_height, dilation_width;
    int32_t pad_top, pad_left;
    int32_t input_offset;  /* minus the input's zero point */
    int32_t output_offset; /* the output's zero point */
    int32_t low, high;     /* clamp */
    int32_t wide;          /* int16: requantize 64-bit accumulators */
} tg_depthwise_conv_2d_shape;

/* The taps of one window that fall inside the input, and where the window begins. */
typedef struct {
    int32_t y, x;
    int32_t first_row, last_row, first_column, last_column;
} tg_depthwise_window;

TG_INLINE tg_depthwise_window tg_depthwise_window_at(const tg_depthwise_conv_2d_shape *s, int32_t row,
                                                     int32_t column)
{
    const int32_t y = row * s->stride_height - s->pad_top;
    const int32_t x = column * s->stride_width - s->pad_left;
    const tg_depthwise_window window = {
        .y = y,
        .x = x,
        .first_row = tg_first_tap(y, s->dilation_height),
        .last_row = tg_last_tap(y, s->dilation_height, s->kernel_height, s->input_height),
        .first_column = tg_first_tap(x, s->dilation_width),
        .last_column = tg_last_tap(x, s->dilation_width, s->kernel_width, s->input_width),
    };
    return window;
}

/* Index of the input pixel under tap (i, j). */
TG_INLINE int32_t tg_depthwise_pixel(const tg_depthwise_conv_2d_shape *s, const tg_depthwise_window *w,
                                     int32_t i, int32_t j)
{
    return (w->y + i * s->dilation_height) * s->input_width + w->x + j * s->dilation_width;
}

TG_INLINE int32_t tg_depthwise_sum_s8(const tg_depthwise_conv_2d_shape *s, const tg_depthwise_window *w,
                                      const int8_t *input, const int8_t *weights, int32_t channel,
                                      int32_t acc)
{
    const int32_t channels = s->input_channels * s->depth_multiplier;
    const int8_t *in = input + channel / s->depth_multiplier;
    for (int32_t i = w->first_row; i < w->last_row; i++) {
        for (int32_t j = w->first_column; j < w->last_column; j++) {
            const int32_t x = in[tg_depthwise_pixel(s, w, i, j) * s->input_channels] + s->input_offset;
            acc += x * weights[(i * s->kernel_width + j) * channels + channel];
        }
    }
    return acc;
}

#if TG_DSP

/* Four neighbouring channels at once, for a depth multiplier of 1. */
TG_INLINE void tg_depthwise_sum_4_s8(const tg_depthwise_conv_2d_shape *s, const tg_depthwise_window *w,
                                     const int8_t *input, const int8_t *weights, int32_t acc[4])
{
    const uint32_t offsets = tg_both_lanes(s->input_offset);
    for (int32_t i = w->first_row; i < w->last_row; i++) {
        for (int32_t j = w->first_column; j < w->last_column; j++) {
            const uint32_t x = tg_load_word(input + tg_depthwise_pixel(s, w, i, j) * s->input_channels);
            const uint32_t taps = tg_load_word(weights + (i * s->kernel_width + j) * s->input_channels);
            const uint32_t even = tg_sxtab16_acle(offsets, x);
            const uint32_t odd = tg_sxtab16_acle(offsets, tg_rotate_8(x));
            const uint32_t even_taps = tg_sxtb16_acle(taps);
            const uint32_t odd_taps = tg_sxtb16_acle(tg_rotate_8(taps));
            acc[0] = tg_smlabb_acle(even, even_taps, acc[0]);
            acc[1] = tg_smlabb_acle(odd, odd_taps, acc[1]);
            acc[2] = tg_smlatt_acle(even, even_taps, acc[2]);
            acc[3] = tg_smlatt_acle(odd, odd_taps, acc[3]);
        }
    }
}

#endif

/* All channels of one output pixel; `input` is the whole image. */
TG_INLINE void tg_depthwise_pixel_s8(const tg_depthwise_conv_2d_shape *s, const tg_depthwise_window *w,
                                     const int8_t *input, const int8_t *weights, const int32_t *bias,
                                     const int32_t *multipliers, const int8_t *shifts, int8_t *output)
{
    const int32_t channels = s->input_channels * s->depth_multiplier;
    int32_t c = 0;
#if TG_DSP
    for (; s->depth_multiplier == 1 && c + 4 <= channels; c += 4) {
        int32_t acc[4] = {bias[c], bias[c + 1], bias[c + 2], bias[c + 3]};
        tg_depthwise_sum_4_s8(s, w, input + c, weights + c, acc);
        for (int32_t k = 0; k < 4; k++) {
            output[c + k] = tg_requantize_s8(acc[k], multipliers[c + k], shifts[c + k], s->output_offset,
                                             s->low, s->high);
        }
    }
#endif
    for (; c < channels; c++) {
        const int32_t acc = tg_depthwise_sum_s8(s, w, input, weights, c, bias[c]);
        output[c] = tg_requantize_s8(acc, multipliers[c], shifts[c], s->output_offset, s->low, s->high);
    }
}

TG_INLINE void tg_depthwise_conv_2d_s8(const tg_depthwise_conv_2d_shape *s, const int8_t *input,
                                       const int8_t *weights, const int32_t *bias, const int32_t *multipliers,
                                       const int8_t *shifts, int8_t *output)
{
    for (int32_t batch = 0; batch < s->batches; batch++) {
        for (int32_t row = 0; row < s->output_height; row++) {
            for (int32_t column = 0; column < s->output_width; column++) {
                const tg_depthwise_window window = tg_depthwise_window_at(s, row, column);
                tg_depthwise_pixel_s8(s, &window, input, weights, bias, multipliers, shifts, output);
                output += s->input_channels * s->depth_multiplier;
            }
        }
        input += s->input_height * s->input_width * s->input_channels;
    }
}

TG_INLINE int64_t tg_depthwise_sum_s16(const tg_depthwise_conv_2d_shape *s, const tg_depthwise_window *w,
                                       const int16_t *input, const int8_t *weights, int32_t channel,
                                       int64_t acc)
{
    const int32_t channels = s->input_channels * s->depth_multiplier;
    const int16_t *in = input + channel / s->depth_multiplier;
    for (int32_t i = w->first_row; i < w->last_row; i++) {
        for (int32_t j = w->first_column; j < w->last_column; j++) {
            acc += in[tg_depthwise_pixel(s, w, i, j) * s->input_channels] *
                   weights[(i * s->kernel_width + j) * channels + channel];
        }
    }
    return acc;
}

TG_INLINE void tg_depthwise_conv_2d_s16(const tg_depthwise_conv_2d_shape *s, const int16_t *input,
                                        const int8_t *weights, const int64_t *bias,
                                        const int32_t *multipliers, const int8_t *shifts, int16_t *output)
{
    for (int32_t batch = 0; batch < s->batches; batch++) {
        for (int32_t row = 0; row < s->output_height; row++) {
            for (int32_t column = 0; column < s->output_width; column++) {
                const tg_depthwise_window window = tg_depthwise_window_at(s, row, column);
                for (int32_t c = 0; c < s->input_channels * s->depth_multiplier; c++) {
                    const int64_t acc = tg_depthwise_sum_s16(s, &window, input, weights, c, bias[c]);
                    *output++ = tg_requantize_s16(acc, multipliers[c], shifts[c], s->low, s->high, s->wide);
                }
            }
        }
        input += s->input_height * s->input_width * s->input_channels;
    }
}

#endif
