/* SPDX-License-Identifier: Apache-2.0 */
/* TFLite's fixed-point arithmetic on four lanes, and the way from lanes to codes. */
#ifndef TG_MVE_REQUANTIZE_H
#define TG_MVE_REQUANTIZE_H

#include <arm_mve.h>

#include "fixed_point.h"

/* x / 2^exponent to nearest, ties away from zero; 0 <= exponent <= 31. */
TG_INLINE int32x4_t tg_mve_rounding_shift(int32x4_t x, int32_t exponent)
{
    if (exponent == 0) {
        return x;
    }
    return vrshlq_n_s32(vaddq_s32(x, vshrq_n_s32(x, 31)), -exponent);
}

/* tg_scale on four lanes; with `clamped`, what is below zero only stays at or below it. */
TG_INLINE int32x4_t tg_mve_scale(int32x4_t x, int32_t multiplier, int32_t shift, int32_t clamped)
{
    const int32x4_t shifted = shift > 0 ? vshlq_r_s32(x, shift) : x;
    const int32x4_t product = vqrdmulhq_n_s32(shifted, multiplier);
    if (clamped) {
        return shift < 0 ? vrshlq_n_s32(product, shift) : product;
    }
    return tg_mve_rounding_shift(product, shift < 0 ? -shift : 0);
}

/* Stores 16 codes: four vectors of scaled values in order, saturated, plus the zero point, clamped. */
TG_INLINE void tg_mve_store_16(int8_t *to, int32x4_t a, int32x4_t b, int32x4_t c, int32x4_t d,
                               int32_t zero_point, int32_t low, int32_t high)
{
    static const uint8_t places[16] = {0, 8, 4, 12, 1, 9, 5, 13, 2, 10, 6, 14, 3, 11, 7, 15};
    int16x8_t even = vqmovntq_s32(vqmovnbq_s32(vuninitializedq_s16(), a), b);
    int16x8_t odd = vqmovntq_s32(vqmovnbq_s32(vuninitializedq_s16(), c), d);
    if (zero_point) {
        even = vqaddq_n_s16(even, (int16_t)zero_point);
        odd = vqaddq_n_s16(odd, (int16_t)zero_point);
    }
    int8x16_t codes = vqmovntq_s16(vqmovnbq_s16(vuninitializedq_s8(), even), odd);
    if (low > -128) {
        codes = vmaxq_s8(codes, vdupq_n_s8((int8_t)low));
    }
    if (high < 127) {
        codes = vminq_s8(codes, vdupq_n_s8((int8_t)high));
    }
    vstrbq_scatter_offset_s8(to, vldrbq_u8(places), codes);
}

/* Stores the first `count` of four scaled values. */
TG_INLINE void tg_mve_store_some(int8_t *to, int32x4_t values, int32_t count, int32_t zero_point, int32_t low,
                                 int32_t high)
{
    int32x4_t codes = vaddq_n_s32(values, zero_point);
    codes = vmaxq_s32(codes, vdupq_n_s32(low));
    codes = vminq_s32(codes, vdupq_n_s32(high));
    vstrbq_p_s32(to, codes, vctp32q((uint32_t)count));
}

#endif
