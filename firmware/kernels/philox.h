/* SPDX-License-Identifier: Apache-2.0 */
/* Philox4x32-10 (Salmon et al., SC 2011): random words that are a function of a key and a counter alone. */
#ifndef TG_PHILOX_H
#define TG_PHILOX_H

#include "fixed_point.h"

/* Replaces the counter's four words by random ones. */
TG_INLINE void tg_philox(uint32_t words[4], uint32_t key_low, uint32_t key_high)
{
    for (int32_t round = 0; round < 10; round++) {
        const uint64_t first = (uint64_t)words[0] * 0xD2511F53u;
        const uint64_t second = (uint64_t)words[2] * 0xCD9E8D57u;
        words[0] = (uint32_t)(second >> 32) ^ words[1] ^ key_low;
        words[1] = (uint32_t)second;
        words[2] = (uint32_t)(first >> 32) ^ words[3] ^ key_high;
        words[3] = (uint32_t)first;
        key_low += 0x9E3779B9u;
        key_high += 0xBB67AE85u;
    }
}

#endif
