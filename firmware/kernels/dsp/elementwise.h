/* SPDX-License-Identifier: Apache-2.0 */
/* ADD, SUB and MUL of two int8 tensors of one shape, exact double rounding: 8 to 13 instructions an
   element. Sums and products come doubled, as tg_requantize takes them. */
#ifndef TG_DSP_ELEMENTWISE_H
#define TG_DSP_ELEMENTWISE_H

#include "dsp.h"
#include "dsp/requantize.h"

typedef struct {
    int32_t count;
    int32_t sign;      /* of the other operand: 1 or -1; `constant` has the sign in it */
    int32_t half_sign; /* of the operand with the larger scale, whose multiplier is a half */
    int32_t constant;  /* both operands' zero points, scaled, doubled */
    int32_t other_offset, other_multiplier, other_shift; /* of the other operand, without a table */
    int32_t multiplier, round, shift;
    int32_t low, high;
} tg_sum_shape;

TG_INLINE void tg_elementwise_clamp(int8_t *codes, int32_t count, int32_t low, int32_t high)
{
    if (low > INT8_MIN || high < INT8_MAX) {
        tg_clamp_codes(codes, count, low, high);
    }
}

/* The sum of 2^20 `half` and the doubled term of the other operand, as a code. */
TG_INLINE int8_t tg_sum_code(const tg_sum_shape *s, int32_t half, int32_t term)
{
    const int32_t scaled = half * (1 << 20);
    const int32_t doubled = s->half_sign > 0 ? term + scaled : term - scaled;
    return tg_requantize_fixed(doubled, s->multiplier, s->round, s->shift);
}

/* terms[code]: the other operand scaled, doubled, with `constant` in it; for codes 0 to 127, -128 to -1. */
TG_INLINE void tg_sum_table_s8(const tg_sum_shape *s, const int8_t *half, const int8_t *other,
                               const int32_t *terms, int8_t *output)
{
    int32_t i = 0;
    for (; i + 4 <= s->count; i += 4) {
#pragma GCC unroll 4
        for (int32_t k = 0; k < 4; k++) {
            output[i + k] = tg_sum_code(s, half[i + k], terms[(uint8_t)other[i + k]]);
        }
    }
    for (; i < s->count; i++) {
        output[i] = tg_sum_code(s, half[i], terms[(uint8_t)other[i]]);
    }
    tg_elementwise_clamp(output, s->count, s->low, s->high);
}

/* The other operand scaled by a multiplier below a half and a shift to the right, or by a half too. */
TG_INLINE int32_t tg_sum_term(const tg_sum_shape *s, int32_t code)
{
    if (s->other_multiplier == 0) {
        return code * (s->sign * (1 << 20)) + s->constant;
    }
    const int32_t doubled = code * (1 << 21) + s->other_offset;
    const int32_t half = s->other_shift > 0 ? (1 << s->other_shift) >> 1 : 0;
    const int32_t ties = s->other_shift > 0 ? doubled >> 31 : 0;
    const int32_t scaled = (tg_smmlar(doubled, s->other_multiplier, half) + ties) >> s->other_shift;
    return s->sign > 0 ? s->constant + scaled * 2 : s->constant - scaled * 2;
}

TG_INLINE void tg_sum_s8(const tg_sum_shape *s, const int8_t *half, const int8_t *other, int8_t *output)
{
    int32_t i = 0;
    for (; i + 2 <= s->count; i += 2) {
#pragma GCC unroll 2
        for (int32_t k = 0; k < 2; k++) {
            output[i + k] = tg_sum_code(s, half[i + k], tg_sum_term(s, other[i + k]));
        }
    }
    for (; i < s->count; i++) {
        output[i] = tg_sum_code(s, half[i], tg_sum_term(s, other[i]));
    }
    tg_elementwise_clamp(output, s->count, s->low, s->high);
}

typedef struct {
    int32_t count;
    int32_t a_offset, b_offset; /* minus the zero points */
    int32_t multiplier, round, shift;
    int32_t low, high;
} tg_product_shape;

TG_INLINE void tg_product_s8(const tg_product_shape *s, const int8_t *a, const int8_t *b, int8_t *output)
{
    for (int32_t i = 0; i < s->count; i++) {
        const int32_t doubled = (2 * a[i] + 2 * s->a_offset) * (b[i] + s->b_offset);
        output[i] = tg_requantize_fixed(doubled, s->multiplier, s->round, s->shift);
    }
    tg_elementwise_clamp(output, s->count, s->low, s->high);
}

#endif
