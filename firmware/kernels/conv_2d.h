/* CONV_2D: int8 (per-channel weights) and int16x8. NHWC input, OHWI weights.
   Reference: TFLite kernels/internal/reference/integer_ops/conv.h */
#ifndef TG_CONV_2D_H
#define TG_CONV_2D_H

#include "dot.h"

typedef struct {
    int32_t batches;
    int32_t input_height, input_width, input_channels;
    int32_t output_height, output_width, output_channels;
    int32_t kernel_height, kernel_width;
    int32_t stride_height, stride_width;
    int32_t dilation_height, dilation_width;
    int32_t pad_top, pad_left;
    int32_t input_offset;  /* minus the input's zero point */
    int32_t output_offset; /* the output's zero point */
    int32_t low, high;     /* clamp */
} tg_conv_2d_shape;

/* First and one-past-last kernel row (or column) that falls inside the input. */
TG_INLINE int32_t tg_first_tap(int32_t origin, int32_t dilation)
{
    return origin < 0 ? (-origin + dilation - 1) / dilation : 0;
}

TG_INLINE int32_t tg_last_tap(int32_t origin, int32_t dilation, int32_t kernel, int32_t size)
{
    const int32_t room = (size - origin + dilation - 1) / dilation;
    return room < kernel ? room : kernel;
}

TG_INLINE void tg_conv_2d_pixel_s8(const tg_conv_2d_shape *s, const int8_t *input, int32_t y, int32_t x,
                                   const int8_t *weights_0, const int8_t *weights_1, int32_t *acc_0,
                                   int32_t *acc_1)
{
    const int32_t last_row = tg_last_tap(y, s->dilation_height, s->kernel_height, s->input_height);
    const int32_t first_column = tg_first_tap(x, s->dilation_width);
    const int32_t last_column = tg_last_tap(x, s->dilation_width, s->kernel_width, s->input_width);
    if (last_column <= first_column) {
        return;
    }
    for (int32_t row = tg_first_tap(y, s->dilation_height); row < last_row; row++) {
        const int32_t line = (y + row * s->dilation_height) * s->input_width;
        const int32_t taps = row * s->kernel_width;
        if (s->dilation_width == 1) { /* the whole row of the window lies in one run */
            const int32_t from = (line + x + first_column) * s->input_channels;
            const int32_t tap = (taps + first_column) * s->input_channels;
            tg_dot_2(input + from, weights_0 + tap, weights_1 + tap,
                     (last_column - first_column) * s->input_channels, s->input_offset, acc_0, acc_1);
            continue;
        }
        for (int32_t column = first_column; column < last_column; column++) {
            const int32_t from = (line + x + column * s->dilation_width) * s->input_channels;
            const int32_t tap = (taps + column) * s->input_channels;
            tg_dot_2(input + from, weights_0 + tap, weights_1 + tap, s->input_channels, s->input_offset, acc_0,
                     acc_1);
        }
    }
}

TG_INLINE void tg_conv_2d_s8(const tg_conv_2d_shape *s, const int8_t *input, const int8_t *weights,
                             const int32_t *bias, const int32_t *multipliers, const int8_t *shifts,
                             int8_t *output)
{
    const int32_t filter = s->kernel_height * s->kernel_width * s->input_channels;
    const int32_t image = s->input_height * s->input_width * s->input_channels;
    for (int32_t batch = 0; batch < s->batches; batch++) {
        for (int32_t row = 0; row < s->output_height; row++) {
            const int32_t y = row * s->stride_height - s->pad_top;
            for (int32_t column = 0; column < s->output_width; column++) {
                const int32_t x = column * s->stride_width - s->pad_left;
                for (int32_t c = 0; c < s->output_channels; c += 2) {
                    const int32_t pair = c + 1 < s->output_channels ? 1 : 0;
                    int32_t acc[2] = {bias[c], bias[c + pair]};
                    tg_conv_2d_pixel_s8(s, input + batch * image, y, x, weights + c * filter,
                                        weights + (c + pair) * filter, &acc[0], &acc[1]);
                    for (int32_t k = 0; k <= pair; k++) {
                        const int32_t scaled = tg_scale(acc[k], multipliers[c + k], shifts[c + k]);
                        output[c + k] = (int8_t)tg_clamp(scaled + s->output_offset, s->low, s->high);
                    }
                }
                output += s->output_channels;
            }
        }
    }
}

/* The int16x8 form: 64-bit accumulators, zero points 0. */
TG_INLINE void tg_conv_2d_s16(const tg_conv_2d_shape *s, const int16_t *input, const int8_t *weights,
                              const int64_t *bias, const int32_t *multipliers, const int8_t *shifts,
                              int16_t *output)
{
    const int32_t filter = s->kernel_height * s->kernel_width * s->input_channels;
    const int32_t image = s->input_height * s->input_width * s->input_channels;
    for (int32_t batch = 0; batch < s->batches; batch++) {
        const int16_t *in = input + batch * image;
        for (int32_t row = 0; row < s->output_height; row++) {
            const int32_t y = row * s->stride_height - s->pad_top;
            const int32_t last_row = tg_last_tap(y, s->dilation_height, s->kernel_height, s->input_height);
            for (int32_t column = 0; column < s->output_width; column++) {
                const int32_t x = column * s->stride_width - s->pad_left;
                const int32_t last_column = tg_last_tap(x, s->dilation_width, s->kernel_width, s->input_width);
                for (int32_t c = 0; c < s->output_channels; c++) {
                    int64_t acc = bias[c];
                    for (int32_t i = tg_first_tap(y, s->dilation_height); i < last_row; i++) {
                        for (int32_t j = tg_first_tap(x, s->dilation_width); j < last_column; j++) {
                            const int16_t *from = in + ((y + i * s->dilation_height) * s->input_width + x +
                                                        j * s->dilation_width) * s->input_channels;
                            const int8_t *tap =
                                weights + c * filter + (i * s->kernel_width + j) * s->input_channels;
                            for (int32_t k = 0; k < s->input_channels; k++) {
                                acc += from[k] * tap[k];
                            }
                        }
                    }
                    *output++ = (int16_t)tg_clamp(tg_scale_wide(acc, multipliers[c], shifts[c]), s->low, s->high);
                }
            }
        }
    }
}

#endif
