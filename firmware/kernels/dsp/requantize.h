/* SPDX-License-Identifier: Apache-2.0 */
/* From accumulators to int8 codes, and codes into a range. */
#ifndef TG_DSP_REQUANTIZE_H
#define TG_DSP_REQUANTIZE_H

#include "dsp.h"

/* An accumulator, doubled, to an int8 code in five instructions. `round` is half of 2^shift plus the zero
   point times 2^shift; exact for shift > 0 and |doubled| < 2^31 (see kernels/dsp/requantize.py). */
TG_INLINE int8_t tg_requantize(int32_t doubled, int32_t multiplier, int32_t round, int32_t shift)
{
    const int32_t sign = doubled >> 31; /* ties go away from zero */
    return tg_ssat_8((tg_smmlar(doubled, multiplier, round) + sign) >> (shift & 31));
}

/* The same for a constant shift: three instructions. */
TG_INLINE int8_t tg_requantize_fixed(int32_t doubled, int32_t multiplier, int32_t round, int32_t shift)
{
    const int32_t sign = doubled >> 31;
    return tg_ssat_8_asr(tg_smmlar(doubled, multiplier, round) + sign, shift);
}

/* Clamps `count` codes to a range inside int8's. */
TG_INLINE void tg_clamp_codes(int8_t *codes, int32_t count, int32_t low, int32_t high)
{
    const uint32_t lows = ((uint32_t)low & 0xFFu) * 0x01010101u;
    const uint32_t highs = ((uint32_t)high & 0xFFu) * 0x01010101u;
    int32_t i = 0;
    for (; i + 4 <= count; i += 4) {
        tg_store_word(codes + i, tg_min_4(tg_max_4(tg_load_word(codes + i), lows), highs));
    }
    for (; i < count; i++) {
        codes[i] = (int8_t)tg_clamp(codes[i], low, high);
    }
}

#endif
