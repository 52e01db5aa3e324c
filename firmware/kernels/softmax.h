/* SPDX-License-Identifier: Apache-2.0 */
/* SOFTMAX over rows of codes.
   Reference: TFLite kernels/internal/reference/softmax.h, gemmlowp fixedpoint.h */
#ifndef TG_SOFTMAX_H
#define TG_SOFTMAX_H

#include "fixed_point.h"

/* 1 / (1 + x) for x in [0, 1), Q0.31: three Newton-Raphson steps in Q2.29. */
TG_INLINE int32_t tg_one_over_one_plus(int32_t x)
{
    const int32_t half_denominator = (int32_t)(((uint32_t)x + 0x80000000u) >> 1);
    int32_t quotient = 1515870810 + tg_doubling_high_mul(half_denominator, -1010580540); /* 48/17 - 32/17 d */
    for (int32_t step = 0; step < 3; step++) {
        const int32_t error = (1 << 29) - tg_doubling_high_mul(half_denominator, quotient);
        quotient += tg_doubling_high_mul(quotient, error) * 4;
    }
    return quotient > INT32_MAX / 2 ? INT32_MAX : quotient * 2;
}

/* exponentials[d]: exp(-d steps) in Q0.31, 0 from `entries` on. Output scale 1/256, zero point -128. */
TG_INLINE void tg_softmax_s8(const int8_t *input, const int32_t *exponentials, int32_t entries, int32_t rows,
                             int32_t depth, int8_t *output)
{
    for (int32_t row = 0; row < rows; row++) {
        int32_t largest = input[0];
        for (int32_t i = 1; i < depth; i++) {
            largest = input[i] > largest ? input[i] : largest;
        }
        int32_t sum = 0; /* Q12.19 */
        for (int32_t i = 0; i < depth; i++) {
            const int32_t below = largest - input[i];
            sum += below < entries ? tg_rounding_shift(exponentials[below], 12) : 0;
        }
        const int32_t headroom = __builtin_clz((uint32_t)sum);
        const int32_t reciprocal = tg_one_over_one_plus((int32_t)(((uint32_t)sum << headroom) - 0x80000000u));
        const int32_t exponent = 35 - headroom; /* above 31 every output is below half a code */
        for (int32_t i = 0; i < depth; i++) {
            const int32_t below = largest - input[i];
            const int32_t exponential = below < entries ? exponentials[below] : 0;
            const int32_t quotient = tg_doubling_high_mul(reciprocal, exponential);
            const int32_t steps = exponent > 31 ? 0 : tg_rounding_shift(quotient, exponent);
            output[i] = (int8_t)tg_clamp(steps - 128, -128, 127);
        }
        input += depth;
        output += depth;
    }
}

/* A table of 513 entries at every 128th int16 value, linear between them. */
TG_INLINE int32_t tg_interpolate(int32_t x, const int16_t *table)
{
    const int32_t entry = 256 + (x >> 7);
    const int32_t slope = table[entry + 1] - table[entry];
    return table[entry] + ((slope * (x & 127) + 64) >> 7);
}

/* The multiplier takes differences to [-65535, 0] for exp's [-10, 0]. Output scale 1/32768. */
TG_INLINE void tg_softmax_s16(const int16_t *input, const int16_t *exp, const int16_t *reciprocals,
                              int32_t multiplier, int32_t shift, int32_t rows, int32_t depth, int16_t *output)
{
    for (int32_t row = 0; row < rows; row++) {
        int32_t largest = input[0];
        for (int32_t i = 1; i < depth; i++) {
            largest = input[i] > largest ? input[i] : largest;
        }
        uint32_t sum = 0; /* Q16.15; the exponentials wait in the output */
        for (int32_t i = 0; i < depth; i++) {
            const int32_t scaled = tg_scale(input[i] - largest, multiplier, shift);
            const int32_t exponential = tg_interpolate(tg_clamp(scaled + 32767, -32768, 32767), exp);
            output[i] = (int16_t)exponential;
            sum += (uint32_t)exponential;
        }
        const int32_t headroom = __builtin_clz(sum);
        const int32_t shifted = (int32_t)(((sum << (headroom - 1)) + (1u << 13)) >> 14);
        const int32_t position = tg_clamp(shifted - (1 << 15) - (1 << 16), -32768, 32767);
        const int32_t reciprocal = tg_interpolate(position, reciprocals);
        const int32_t right = 31 - headroom;
        for (int32_t i = 0; i < depth; i++) {
            output[i] = (int16_t)tg_clamp((output[i] * reciprocal + (1 << (right - 1))) >> right, 0, 32767);
        }
        input += depth;
        output += depth;
    }
}

#endif
