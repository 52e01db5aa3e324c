/* SPDX-License-Identifier: Apache-2.0 */
/* MAXIMUM and MINIMUM on codes of one quantization.
   Reference: TFLite kernels/internal/reference/maximum_minimum.h */
#ifndef TG_MAXIMUM_MINIMUM_H
#define TG_MAXIMUM_MINIMUM_H

#include "rows.h"

TG_INLINE int32_t tg_code(const tg_rows *rows, int32_t x)
{
    (void)rows;
    return x;
}

TG_INLINE int32_t tg_larger(const tg_rows *rows, int32_t x, int32_t y)
{
    (void)rows;
    return x > y ? x : y;
}

TG_INLINE int32_t tg_smaller(const tg_rows *rows, int32_t x, int32_t y)
{
    (void)rows;
    return x < y ? x : y;
}

TG_INLINE void tg_maximum_s8(const tg_rows *rows, const int8_t *a, const int8_t *b, int8_t *output)
{
    TG_BROADCAST(int8_t, rows, rows, a, b, output, tg_code, tg_code, tg_larger)
}

TG_INLINE void tg_minimum_s8(const tg_rows *rows, const int8_t *a, const int8_t *b, int8_t *output)
{
    TG_BROADCAST(int8_t, rows, rows, a, b, output, tg_code, tg_code, tg_smaller)
}

TG_INLINE void tg_maximum_s16(const tg_rows *rows, const int16_t *a, const int16_t *b, int16_t *output)
{
    TG_BROADCAST(int16_t, rows, rows, a, b, output, tg_code, tg_code, tg_larger)
}

TG_INLINE void tg_minimum_s16(const tg_rows *rows, const int16_t *a, const int16_t *b, int16_t *output)
{
    TG_BROADCAST(int16_t, rows, rows, a, b, output, tg_code, tg_code, tg_smaller)
}

#endif
