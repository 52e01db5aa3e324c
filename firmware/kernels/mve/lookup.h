/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of single int8 codes: 16 look-ups a gather. */
#ifndef TG_MVE_LOOKUP_H
#define TG_MVE_LOOKUP_H

#include <arm_mve.h>

#include "fixed_point.h"

/* output[i] = table[input[i]]: 256 entries, for codes 0 to 127, then -128 to -1. */
TG_INLINE void tg_mve_lookup_s8(const int8_t *input, const int8_t *table, int32_t count, int8_t *output)
{
    __asm__ volatile("wlstp.8 lr, %[count], 2f\n"
                     "1:\n\t"
                     "vldrb.u8 q0, [%[input]], #16\n\t"
                     "vldrb.u8 q1, [%[table], q0]\n\t"
                     "vstrb.8 q1, [%[output]], #16\n\t"
                     "letp lr, 1b\n"
                     "2:"
                     : [input] "+r"(input), [output] "+r"(output)
                     : [table] "r"(table), [count] "r"(count)
                     : "q0", "q1", "lr", "memory");
}

#endif
