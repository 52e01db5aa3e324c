/* SPDX-License-Identifier: Apache-2.0 */
/* DROPOUT, four elements at a time: see the portable dropout.h. */
#ifndef TG_DSP_MASKS_H
#define TG_DSP_MASKS_H

#include "dropout.h"
#include "dsp.h"

static __attribute__((noinline)) void tg_dsp_dropout_s8(const uint32_t *seed, uint32_t site, uint32_t run, int32_t count,
                              uint32_t dropped, int8_t zero_point, const int8_t *input, int8_t *output)
{
    const uint32_t thresholds = dropped * 0x01010101u;
    const uint32_t zeros = ((uint32_t)zero_point & 0xFFu) * 0x01010101u;
    int32_t start = 0;
    for (; start < count; start += TG_DROPOUT_BLOCK) {
        uint32_t words[4] = {(uint32_t)(start / TG_DROPOUT_BLOCK), site, run, 0};
        tg_philox(words, seed[0], seed[1]);
#pragma GCC unroll 4
        for (int32_t i = 0; i < TG_DROPOUT_BLOCK; i += 4) {
            const int32_t at = start + i;
            if (at + 4 <= count) {
                const uint32_t codes = tg_load_word(input + at);
                tg_store_word(output + at, tg_where_not_below(words[i / 4], thresholds, codes, zeros));
            } else if (at < count) {
                tg_dropout_word(words[i / 4], dropped, zero_point, count - at, input + at, output + at);
            }
        }
    }
}

#endif
