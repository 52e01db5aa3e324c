/* SPDX-License-Identifier: Apache-2.0 */
/* PRELU on int8 codes. Reference: TFLite kernels/internal/reference/prelu.h */
#ifndef TG_PRELU_H
#define TG_PRELU_H

#include "rows.h"

typedef struct {
    int32_t input_offset, alpha_offset; /* minus the zero points */
    int32_t positive_multiplier, positive_shift;
    int32_t negative_multiplier, negative_shift; /* of input times alpha */
    int32_t output_offset;
} tg_prelu_shape;

TG_INLINE int32_t tg_prelu_left(const tg_prelu_shape *s, int32_t x)
{
    return x + s->input_offset;
}

TG_INLINE int32_t tg_prelu_right(const tg_prelu_shape *s, int32_t alpha)
{
    return alpha + s->alpha_offset;
}

TG_INLINE int32_t tg_prelu_combine(const tg_prelu_shape *s, int32_t x, int32_t alpha)
{
    const int32_t scaled = x >= 0 ? tg_scale(x, s->positive_multiplier, s->positive_shift)
                                  : tg_scale(x * alpha, s->negative_multiplier, s->negative_shift);
    return tg_clamp(scaled + s->output_offset, -128, 127);
}

TG_INLINE void tg_prelu_s8(const tg_prelu_shape *s, const tg_rows *rows, const int8_t *input,
                           const int8_t *alpha, int8_t *output)
{
    TG_BROADCAST(int8_t, s, rows, input, alpha, output, tg_prelu_left, tg_prelu_right, tg_prelu_combine)
}

#endif
