/* SPDX-License-Identifier: Apache-2.0 */
/* FULLY_CONNECTED: int8 and int16x8, weights (output channel, input channel).
   Reference: TFLite kernels/internal/reference/integer_ops/fully_connected.h */
#ifndef TG_FULLY_CONNECTED_H
#define TG_FULLY_CONNECTED_H

#include "dot.h"

typedef struct {
    int32_t batches, input_channels, output_channels;
    int32_t input_offset;  /* minus the input's zero point */
    int32_t output_offset; /* the output's zero point */
    int32_t low, high;     /* clamp */
    int32_t wide;          /* int16: requantize 64-bit accumulators */
} tg_fully_connected_shape;

TG_INLINE void tg_fully_connected_s8(const tg_fully_connected_shape *s, const int8_t *input,
                                     const int8_t *weights, const int32_t *bias, const int32_t *multipliers,
                                     const int8_t *shifts, int8_t *output)
{
    const int32_t depth = s->input_channels;
    for (int32_t batch = 0; batch < s->batches; batch++) {
        for (int32_t c = 0; c < s->output_channels; c += 2) {
            const int32_t pair = c + 1 < s->output_channels ? 1 : 0;
            int32_t acc[2] = {bias[c], bias[c + pair]};
            tg_dot_2(input, weights + c * depth, weights + (c + pair) * depth, depth, s->input_offset,
                     &acc[0], &acc[1]);
            for (int32_t k = c; k <= c + pair; k++) {
                output[k] = tg_requantize_s8(acc[k - c], multipliers[k], shifts[k], s->output_offset, s->low,
                                             s->high);
            }
        }
        input += depth;
        output += s->output_channels;
    }
}

TG_INLINE void tg_fully_connected_s16(const tg_fully_connected_shape *s, const int16_t *input,
                                      const int8_t *weights, const int64_t *bias, const int32_t *multipliers,
                                      const int8_t *shifts, int16_t *output)
{
    const int32_t depth = s->input_channels;
    for (int32_t batch = 0; batch < s->batches; batch++) {
        for (int32_t c = 0; c < s->output_channels; c++) {
            const int64_t acc = tg_dot_s16(input, weights + c * depth, depth, bias[c]);
            *output++ = tg_requantize_s16(acc, multipliers[c], shifts[c], s->low, s->high, s->wide);
        }
        input += depth;
    }
}

#endif
