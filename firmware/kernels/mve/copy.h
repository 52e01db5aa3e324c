/* SPDX-License-Identifier: Apache-2.0 */
/* Copies and fills in MVE: newlib-nano's memcpy goes byte by byte. */
#ifndef TG_MVE_COPY_H
#define TG_MVE_COPY_H

#include <arm_mve.h>

#include "fixed_point.h"

/* 16 bytes per step; the last step is cut to what is left. */
TG_INLINE void tg_mve_copy_exact(int8_t *to, const int8_t *from, int32_t count)
{
    __asm__ volatile("wlstp.8 lr, %[count], 2f\n"
                     "1:\n\t"
                     "vldrb.u8 q0, [%[from]], #16\n\t"
                     "vstrb.8 q0, [%[to]], #16\n\t"
                     "letp lr, 1b\n"
                     "2:"
                     : [to] "+r"(to), [from] "+r"(from)
                     : [count] "r"(count)
                     : "q0", "lr", "memory");
}

/* Up to 15 bytes more than `count` are read and written. */
TG_INLINE void tg_mve_copy_over(int8_t *to, const int8_t *from, int32_t count)
{
    for (int32_t i = 0; i < count; i += 16) {
        vstrbq_s8(to + i, vldrbq_s8(from + i));
    }
}

TG_INLINE void tg_mve_fill(int8_t *to, int32_t code, int32_t count)
{
    __asm__ volatile("vdup.8 q0, %[code]\n\t"
                     "wlstp.8 lr, %[count], 2f\n"
                     "1:\n\t"
                     "vstrb.8 q0, [%[to]], #16\n\t"
                     "letp lr, 1b\n"
                     "2:"
                     : [to] "+r"(to)
                     : [count] "r"(count), [code] "r"(code)
                     : "q0", "lr", "memory");
}

#endif
