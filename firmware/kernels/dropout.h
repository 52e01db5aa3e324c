/* SPDX-License-Identifier: Apache-2.0 */
/* DROPOUT: elements by chance become the zero point; tinyguard/operators/dropout.py says which. The output may
   be the input. */
#ifndef TG_DROPOUT_H
#define TG_DROPOUT_H

#include "philox.h"

#define TG_DROPOUT_BLOCK 16

/* Of `count` elements, 4 at most, those whose byte of `drawn` is below `dropped`. */
TG_INLINE void tg_dropout_word(uint32_t drawn, uint32_t dropped, int8_t zero_point, int32_t count,
                               const int8_t *input, int8_t *output)
{
    for (int32_t i = 0; i < count; i++) {
        output[i] = ((drawn >> (8 * i)) & 0xFFu) >= dropped ? input[i] : zero_point;
    }
}

/* seed: low word, high word; dropped: of 256. A function of its own: every site and pass calls it. */
static __attribute__((noinline, unused)) void tg_dropout_s8(const uint32_t *seed, uint32_t site, uint32_t run, int32_t count, uint32_t dropped,
                          int8_t zero_point, const int8_t *input, int8_t *output)
{
    for (int32_t start = 0; start < count; start += TG_DROPOUT_BLOCK) {
        uint32_t words[4] = {(uint32_t)(start / TG_DROPOUT_BLOCK), site, run, 0};
        tg_philox(words, seed[0], seed[1]);
        for (int32_t i = 0; i < TG_DROPOUT_BLOCK && start + i < count; i += 4) {
            const int32_t left = count - start - i;
            tg_dropout_word(words[i / 4], dropped, zero_point, left < 4 ? left : 4, input + start + i,
                            output + start + i);
        }
    }
}

#endif
