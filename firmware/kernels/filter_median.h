/* SPDX-License-Identifier: Apache-2.0 */
/* FILTER_MEDIAN: the median of a 3x3 window of int8 codes. */
#ifndef TG_FILTER_MEDIAN_H
#define TG_FILTER_MEDIAN_H

#include "filter_window.h"

TG_INLINE int32_t tg_filter_least(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

TG_INLINE int32_t tg_filter_most(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

TG_INLINE int32_t tg_filter_middle(int32_t a, int32_t b, int32_t c)
{
    return tg_filter_most(tg_filter_least(a, b), tg_filter_least(tg_filter_most(a, b), c));
}

/* A column of the window in order of size. */
typedef struct {
    int32_t least;
    int32_t middle;
    int32_t most;
} tg_filter_column;

TG_INLINE tg_filter_column tg_filter_sorted(const int8_t *const *rows, int32_t i)
{
    const int32_t low = tg_filter_least(rows[0][i], rows[1][i]);
    const int32_t high = tg_filter_most(rows[0][i], rows[1][i]);
    const int32_t rest = tg_filter_most(low, rows[2][i]);
    return (tg_filter_column){
        .least = tg_filter_least(low, rows[2][i]),
        .middle = tg_filter_least(high, rest),
        .most = tg_filter_most(high, rest),
    };
}

/* The median of nine is that of the largest least, the median middle and the smallest most. */
TG_INLINE int8_t tg_filter_median_at(const int8_t *const *rows, int32_t channels, int32_t i)
{
    const tg_filter_column a = tg_filter_sorted(rows, i);
    const tg_filter_column b = tg_filter_sorted(rows, i + channels);
    const tg_filter_column c = tg_filter_sorted(rows, i + 2 * channels);
    return (int8_t)tg_filter_middle(tg_filter_most(tg_filter_most(a.least, b.least), c.least),
                                    tg_filter_middle(a.middle, b.middle, c.middle),
                                    tg_filter_least(tg_filter_least(a.most, b.most), c.most));
}

TG_INLINE void tg_filter_median_row(const tg_filter_shape *s, const int8_t *const *rows, int8_t *output)
{
    for (int32_t i = 0; i < s->width * s->channels; i++) {
        output[i] = tg_filter_median_at(rows, s->channels, i);
    }
}

TG_INLINE void tg_filter_median_3(const tg_filter_shape *s, const int8_t *input, void *scratch,
                                  int8_t *output)
{
    tg_filter_rows(s, input, scratch, output, tg_filter_median_row);
}

#endif
