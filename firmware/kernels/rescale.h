/* SPDX-License-Identifier: Apache-2.0 */
/* Codes scaled above and below the zero point each by its multiplier: RELU, LEAKY_RELU, ABS, QUANTIZE. */
#ifndef TG_RESCALE_H
#define TG_RESCALE_H

#include "fixed_point.h"

typedef struct {
    int32_t count;
    int32_t input_offset; /* minus the input's zero point */
    int32_t positive_multiplier, positive_shift;
    int32_t negative_multiplier, negative_shift;
    int32_t negate; /* 1: codes below the zero point change sign before they are scaled */
    int32_t output_offset;
    int32_t low, high;
} tg_rescale_shape;

TG_INLINE int32_t tg_rescale(const tg_rescale_shape *s, int32_t code)
{
    const int32_t x = code + s->input_offset;
    const int32_t scaled = x >= 0 ? tg_scale(x, s->positive_multiplier, s->positive_shift)
                                  : tg_scale(s->negate ? -x : x, s->negative_multiplier, s->negative_shift);
    return tg_clamp(scaled + s->output_offset, s->low, s->high);
}

TG_INLINE void tg_rescale_s16(const tg_rescale_shape *s, const int16_t *input, int16_t *output)
{
    for (int32_t i = 0; i < s->count; i++) {
        output[i] = (int16_t)tg_rescale(s, input[i]);
    }
}

TG_INLINE void tg_rescale_s16_s8(const tg_rescale_shape *s, const int16_t *input, int8_t *output)
{
    for (int32_t i = 0; i < s->count; i++) {
        output[i] = (int8_t)tg_rescale(s, input[i]);
    }
}

#endif
