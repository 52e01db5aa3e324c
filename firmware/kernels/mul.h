/* SPDX-License-Identifier: Apache-2.0 */
/* MUL on int8 and int16 codes. Reference: TFLite kernels/internal/reference/integer_ops/mul.h */
#ifndef TG_MUL_H
#define TG_MUL_H

#include "rows.h"

typedef struct {
    int32_t a_offset, b_offset; /* minus the zero points */
    int32_t multiplier, shift, output_offset;
    int32_t low, high;
} tg_mul_shape;

TG_INLINE int32_t tg_mul_left(const tg_mul_shape *s, int32_t x)
{
    return x + s->a_offset;
}

TG_INLINE int32_t tg_mul_right(const tg_mul_shape *s, int32_t y)
{
    return y + s->b_offset;
}

TG_INLINE int32_t tg_mul_combine(const tg_mul_shape *s, int32_t x, int32_t y)
{
    return tg_clamp(tg_scale(x * y, s->multiplier, s->shift) + s->output_offset, s->low, s->high);
}

TG_INLINE void tg_mul_s8(const tg_mul_shape *s, const tg_rows *rows, const int8_t *a, const int8_t *b,
                         int8_t *output)
{
    TG_BROADCAST(int8_t, s, rows, a, b, output, tg_mul_left, tg_mul_right, tg_mul_combine)
}

TG_INLINE void tg_mul_s16(const tg_mul_shape *s, const tg_rows *rows, const int16_t *a, const int16_t *b,
                          int16_t *output)
{
    TG_BROADCAST(int16_t, s, rows, a, b, output, tg_mul_left, tg_mul_right, tg_mul_combine)
}

#endif
