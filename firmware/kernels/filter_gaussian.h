/* SPDX-License-Identifier: Apache-2.0 */
/* FILTER_GAUSSIAN: binomial weights over a 3x3 or 5x5 window of int8 codes, rounded half up. */
#ifndef TG_FILTER_GAUSSIAN_H
#define TG_FILTER_GAUSSIAN_H

#include "filter_window.h"

/* 1 2 1 or 1 4 6 4 1 times the codes at i, i + channels, ... of one row. */
TG_INLINE int32_t tg_filter_binomial_3(const int8_t *row, int32_t channels, int32_t i)
{
    return row[i] + 2 * row[i + channels] + row[i + 2 * channels];
}

TG_INLINE int32_t tg_filter_binomial_5(const int8_t *row, int32_t channels, int32_t i)
{
    return row[i] + row[i + 4 * channels] + 4 * (row[i + channels] + row[i + 3 * channels]) +
           6 * row[i + 2 * channels];
}

TG_INLINE int8_t tg_filter_gaussian_3_at(const int8_t *const *rows, int32_t channels, int32_t i)
{
    const int32_t outer = tg_filter_binomial_3(rows[0], channels, i) + tg_filter_binomial_3(rows[2], channels, i);
    return (int8_t)((outer + 2 * tg_filter_binomial_3(rows[1], channels, i) + 8) >> 4);
}

TG_INLINE int8_t tg_filter_gaussian_5_at(const int8_t *const *rows, int32_t channels, int32_t i)
{
    const int32_t outer = tg_filter_binomial_5(rows[0], channels, i) + tg_filter_binomial_5(rows[4], channels, i);
    const int32_t inner = tg_filter_binomial_5(rows[1], channels, i) + tg_filter_binomial_5(rows[3], channels, i);
    return (int8_t)((outer + 4 * inner + 6 * tg_filter_binomial_5(rows[2], channels, i) + 128) >> 8);
}

TG_INLINE void tg_filter_gaussian_3_row(const tg_filter_shape *s, const int8_t *const *rows, int8_t *output)
{
    for (int32_t i = 0; i < s->width * s->channels; i++) {
        output[i] = tg_filter_gaussian_3_at(rows, s->channels, i);
    }
}

TG_INLINE void tg_filter_gaussian_5_row(const tg_filter_shape *s, const int8_t *const *rows, int8_t *output)
{
    for (int32_t i = 0; i < s->width * s->channels; i++) {
        output[i] = tg_filter_gaussian_5_at(rows, s->channels, i);
    }
}

TG_INLINE void tg_filter_gaussian_3(const tg_filter_shape *s, const int8_t *input, void *scratch,
                                    int8_t *output)
{
    tg_filter_rows(s, input, scratch, output, tg_filter_gaussian_3_row);
}

TG_INLINE void tg_filter_gaussian_5(const tg_filter_shape *s, const int8_t *input, void *scratch,
                                    int8_t *output)
{
    tg_filter_rows(s, input, scratch, output, tg_filter_gaussian_5_row);
}

#endif
