/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of single int8 codes: by table, or four codes at a time where they only clamp. */
#ifndef TG_DSP_LOOKUP_H
#define TG_DSP_LOOKUP_H

#include "dsp.h"

/* table: for codes 0 to 127, -128 to -1. The output may be the input. */
TG_INLINE void tg_lookup_4_s8(const int8_t *input, const int8_t *table, int32_t count, int8_t *output)
{
    int32_t i = 0;
    for (; i + 4 <= count; i += 4) {
#pragma GCC unroll 4
        for (int32_t k = 0; k < 4; k++) {
            output[i + k] = table[(uint8_t)input[i + k]];
        }
    }
    for (; i < count; i++) {
        output[i] = table[(uint8_t)input[i]];
    }
}

/* The codes of the input clamped to a range; the output may be the input. */
TG_INLINE void tg_clamped_copy_s8(const int8_t *input, int32_t count, int32_t low, int32_t high,
                               int8_t *output)
{
    const uint32_t lows = ((uint32_t)low & 0xFFu) * 0x01010101u;
    const uint32_t highs = ((uint32_t)high & 0xFFu) * 0x01010101u;
    int32_t i = 0;
    for (; i + 4 <= count; i += 4) {
        const uint32_t codes = tg_max_4(tg_load_word(input + i), lows);
        tg_store_word(output + i, high < INT8_MAX ? tg_min_4(codes, highs) : codes);
    }
    for (; i < count; i++) {
        output[i] = (int8_t)tg_clamp(input[i], low, high);
    }
}

#endif
