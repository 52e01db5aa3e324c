/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of single int8 codes, tabulated at generation. */
#ifndef TG_LOOKUP_H
#define TG_LOOKUP_H

#include "fixed_point.h"

/* output[i] = table[input[i]]: 256 entries, for codes 0 to 127, then -128 to -1. */
TG_INLINE void tg_lookup_s8(const int8_t *input, const int8_t *table, int32_t count, int8_t *output)
{
    for (int32_t i = 0; i < count; i++) {
        output[i] = table[(uint8_t)input[i]];
    }
}

#endif
