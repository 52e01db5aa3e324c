/* SPDX-License-Identifier: Apache-2.0 */
/* FILTER_MEAN: the mean of a 2x2 or 3x3 window of int8 codes, rounded half up. */
#ifndef TG_FILTER_MEAN_H
#define TG_FILTER_MEAN_H

#include "filter_window.h"

/* (sum + 4) / 9, rounded down, for -1152 <= sum <= 1143. */
TG_INLINE int8_t tg_filter_ninth(int32_t sum)
{
    return (int8_t)((((sum + 1152 + 4) * 7282) >> 16) - 128);
}

TG_INLINE int8_t tg_filter_mean_2_at(const int8_t *const *rows, int32_t channels, int32_t i)
{
    const int32_t sum = rows[0][i] + rows[0][i + channels] + rows[1][i] + rows[1][i + channels];
    return (int8_t)((sum + 2) >> 2);
}

TG_INLINE int8_t tg_filter_mean_3_at(const int8_t *const *rows, int32_t channels, int32_t i)
{
    int32_t sum = 0;
#pragma GCC unroll 3
    for (int32_t k = 0; k < 3; k++) {
        sum += rows[k][i] + rows[k][i + channels] + rows[k][i + 2 * channels];
    }
    return tg_filter_ninth(sum);
}

TG_INLINE void tg_filter_mean_2_row(const tg_filter_shape *s, const int8_t *const *rows, int8_t *output)
{
    for (int32_t i = 0; i < s->width * s->channels; i++) {
        output[i] = tg_filter_mean_2_at(rows, s->channels, i);
    }
}

TG_INLINE void tg_filter_mean_3_row(const tg_filter_shape *s, const int8_t *const *rows, int8_t *output)
{
    for (int32_t i = 0; i < s->width * s->channels; i++) {
        output[i] = tg_filter_mean_3_at(rows, s->channels, i);
    }
}

TG_INLINE void tg_filter_mean_2(const tg_filter_shape *s, const int8_t *input, void *scratch, int8_t *output)
{
    tg_filter_rows(s, input, scratch, output, tg_filter_mean_2_row);
}

TG_INLINE void tg_filter_mean_3(const tg_filter_shape *s, const int8_t *input, void *scratch, int8_t *output)
{
    tg_filter_rows(s, input, scratch, output, tg_filter_mean_3_row);
}

#endif
