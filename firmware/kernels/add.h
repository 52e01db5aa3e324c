/* SPDX-License-Identifier: Apache-2.0 */
/* ADD and SUB on int8 and int16 codes. Reference: TFLite kernels/internal/reference/integer_ops/add.h */
#ifndef TG_ADD_H
#define TG_ADD_H

#include "rows.h"

typedef struct {
    int32_t a_offset, b_offset; /* minus the zero points */
    int32_t left_shift;         /* of both operands, before they are scaled */
    int32_t a_multiplier, a_shift, b_multiplier, b_shift;
    int32_t subtract; /* 1: a - b */
    int32_t output_multiplier, output_shift, output_offset;
    int32_t low, high;
} tg_add_shape;

/* tg_rounding_shift in three instructions, for |x| <= 2^30. */
TG_INLINE int32_t tg_add_shift(int32_t x, int32_t exponent)
{
    if (exponent < 1 || exponent > 30) {
        return tg_rounding_shift(x, exponent);
    }
    return (x + (x >> 31) + (1 << (exponent - 1))) >> exponent;
}

/* x times 2^left_shift times a multiplier of at most a half; the larger scale's is a half exactly. */
TG_INLINE int32_t tg_add_scale(int32_t x, int32_t left_shift, int32_t multiplier, int32_t shift)
{
    if (multiplier == 1 << 30 && shift == 0) {
        return x * (1 << (left_shift - 1));
    }
    return tg_add_shift(tg_doubling_high_mul(x * (1 << left_shift), multiplier), -shift);
}

TG_INLINE int32_t tg_add_left(const tg_add_shape *s, int32_t x)
{
    return tg_add_scale(x + s->a_offset, s->left_shift, s->a_multiplier, s->a_shift);
}

TG_INLINE int32_t tg_add_right(const tg_add_shape *s, int32_t y)
{
    return tg_add_scale(y + s->b_offset, s->left_shift, s->b_multiplier, s->b_shift);
}

TG_INLINE int32_t tg_add_combine(const tg_add_shape *s, int32_t x, int32_t y)
{
    const int32_t sum = s->subtract ? x - y : x + y;
    const int32_t product = tg_doubling_high_mul(sum, s->output_multiplier);
    const int32_t scaled = tg_add_shift(product, -s->output_shift);
    return tg_clamp(scaled + s->output_offset, s->low, s->high);
}

TG_INLINE void tg_add_s8(const tg_add_shape *s, const tg_rows *rows, const int8_t *a, const int8_t *b,
                         int8_t *output)
{
    TG_BROADCAST(int8_t, s, rows, a, b, output, tg_add_left, tg_add_right, tg_add_combine)
}

TG_INLINE void tg_add_s16(const tg_add_shape *s, const tg_rows *rows, const int16_t *a, const int16_t *b,
                          int16_t *output)
{
    TG_BROADCAST(int16_t, s, rows, a, b, output, tg_add_left, tg_add_right, tg_add_combine)
}

#endif
