/* SPDX-License-Identifier: Apache-2.0 */
/* TFLite's fixed-point arithmetic (gemmlowp double rounding), exact. */
#ifndef TG_FIXED_POINT_H
#define TG_FIXED_POINT_H

#include <stdint.h>

#define TG_INLINE static inline __attribute__((always_inline))

TG_INLINE int32_t tg_clamp(int32_t x, int32_t low, int32_t high)
{
    return x < low ? low : (x > high ? high : x);
}

/* round_half_up(a * b / 2^31); never called with both INT32_MIN. */
TG_INLINE int32_t tg_doubling_high_mul(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}

/* x / 2^exponent to nearest, ties away from zero; 0 <= exponent <= 31. */
TG_INLINE int32_t tg_rounding_shift(int32_t x, int32_t exponent)
{
    const int32_t mask = (int32_t)((1u << exponent) - 1u);
    const int32_t threshold = (mask >> 1) + (x < 0);
    return (x >> exponent) + ((x & mask) > threshold);
}

/* x * multiplier * 2^(shift - 31); shift > 0 is to the left. The shift wraps as the reference's does. */
TG_INLINE int32_t tg_scale(int32_t x, int32_t multiplier, int32_t shift)
{
    const int32_t left = shift > 0 ? shift : 0;
    const int32_t right = shift > 0 ? 0 : -shift;
    return tg_rounding_shift(tg_doubling_high_mul((int32_t)((uint32_t)x << left), multiplier), right);
}

/* The int16x8 rule: |x| < 2^47, multiplier reduced to 16 bits, one rounding; shift <= 14. */
TG_INLINE int32_t tg_scale_wide(int64_t x, int32_t multiplier, int32_t shift)
{
    const int32_t reduced = multiplier < 0x7FFF0000 ? (multiplier + (1 << 15)) >> 16 : 0x7FFF;
    const int32_t total = 15 - shift;
    return (int32_t)((x * reduced + ((int64_t)1 << (total - 1))) >> total);
}

#endif
