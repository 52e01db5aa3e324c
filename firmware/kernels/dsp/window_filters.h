/* SPDX-License-Identifier: Apache-2.0 */
/* Window filters, four codes at a time: see the portable filter_*.h for what they compute. */
#ifndef TG_DSP_WINDOW_FILTERS_H
#define TG_DSP_WINDOW_FILTERS_H

#include "dsp.h"
#include "filter_gaussian.h"
#include "filter_mean.h"
#include "filter_median.h"

/* Sums of codes 0 and 2 of four, and of codes 1 and 3. */
typedef struct {
    uint32_t even;
    uint32_t odd;
} tg_lane_sums;

TG_INLINE tg_lane_sums tg_lane_sums_add(tg_lane_sums a, tg_lane_sums b)
{
    return (tg_lane_sums){tg_sadd16(a.even, b.even), tg_sadd16(a.odd, b.odd)};
}

TG_INLINE tg_lane_sums tg_lane_sums_of(const int8_t *codes)
{
    const uint32_t word = tg_load_word(codes);
    return (tg_lane_sums){tg_sxtb16(word), tg_sxtb16_odd(word)};
}

TG_INLINE tg_lane_sums tg_lane_sums_with(tg_lane_sums sums, const int8_t *codes)
{
    const uint32_t word = tg_load_word(codes);
    return (tg_lane_sums){tg_sxtab16(sums.even, word), tg_sxtab16_odd(sums.odd, word)};
}

TG_INLINE tg_lane_sums tg_lane_sums_twice(tg_lane_sums a)
{
    return tg_lane_sums_add(a, a);
}

/* Codes 0, 2 and 1, 3 in the low bytes of the lanes, as four bytes. */
TG_INLINE uint32_t tg_lane_bytes(uint32_t even, uint32_t odd)
{
    return (even & 0x00FF00FFu) | ((odd & 0x00FF00FFu) << 8);
}

/* Both lanes' signed sums plus `offset`, shifted to the right by `shift` into int8. */
TG_INLINE uint32_t tg_lane_bytes_shifted(tg_lane_sums sums, uint32_t offset, int32_t shift)
{
    /* The low bytes of the lanes are all that is kept: what the upper lane shifts in lies above them as long
       as shift <= 8. */
    const uint32_t even = tg_sadd16(sums.even, offset * 0x00010001u) >> shift;
    const uint32_t odd = tg_sadd16(sums.odd, offset * 0x00010001u) >> shift;
    return tg_lane_bytes(even, odd);
}

TG_INLINE void tg_dsp_mean_2_row(const tg_filter_shape *s, const int8_t *const *rows, int8_t *output)
{
    const int32_t count = s->width * s->channels;
    int32_t i = 0;
    for (; i + 4 <= count; i += 4) {
        tg_lane_sums sums = tg_lane_sums_of(rows[0] + i);
        sums = tg_lane_sums_with(sums, rows[0] + i + s->channels);
        sums = tg_lane_sums_with(sums, rows[1] + i);
        sums = tg_lane_sums_with(sums, rows[1] + i + s->channels);
        tg_store_word(output + i, tg_lane_bytes_shifted(sums, 2, 2));
    }
    for (; i < count; i++) {
        output[i] = tg_filter_mean_2_at(rows, s->channels, i);
    }
}

TG_INLINE void tg_dsp_mean_3_row(const tg_filter_shape *s, const int8_t *const *rows, int8_t *output)
{
    const int32_t count = s->width * s->channels;
    int32_t i = 0;
    for (; i + 4 <= count; i += 4) {
        tg_lane_sums sums = {0, 0};
#pragma GCC unroll 3
        for (int32_t k = 0; k < 3; k++) {
            sums = tg_lane_sums_with(sums, rows[k] + i);
            sums = tg_lane_sums_with(sums, rows[k] + i + s->channels);
            sums = tg_lane_sums_with(sums, rows[k] + i + 2 * s->channels);
        }
        output[i] = tg_filter_ninth((int16_t)(sums.even & 0xFFFFu));
        output[i + 1] = tg_filter_ninth((int16_t)(sums.odd & 0xFFFFu));
        output[i + 2] = tg_filter_ninth((int32_t)sums.even >> 16);
        output[i + 3] = tg_filter_ninth((int32_t)sums.odd >> 16);
    }
    for (; i < count; i++) {
        output[i] = tg_filter_mean_3_at(rows, s->channels, i);
    }
}

/* 1 2 1 times four codes of a row and their right neighbours. */
TG_INLINE tg_lane_sums tg_dsp_binomial_3(const int8_t *codes, int32_t channels)
{
    const tg_lane_sums middle = tg_lane_sums_of(codes + channels);
    tg_lane_sums sums = tg_lane_sums_twice(middle);
    sums = tg_lane_sums_with(sums, codes);
    return tg_lane_sums_with(sums, codes + 2 * channels);
}

TG_INLINE void tg_dsp_gaussian_3_row(const tg_filter_shape *s, const int8_t *const *rows, int8_t *output)
{
    const int32_t count = s->width * s->channels;
    int32_t i = 0;
    for (; i + 4 <= count; i += 4) {
        tg_lane_sums sums = tg_lane_sums_twice(tg_dsp_binomial_3(rows[1] + i, s->channels));
        sums = tg_lane_sums_add(sums, tg_dsp_binomial_3(rows[0] + i, s->channels));
        sums = tg_lane_sums_add(sums, tg_dsp_binomial_3(rows[2] + i, s->channels));
        tg_store_word(output + i, tg_lane_bytes_shifted(sums, 8, 4));
    }
    for (; i < count; i++) {
        output[i] = tg_filter_gaussian_3_at(rows, s->channels, i);
    }
}

/* 1 4 6 4 1 times four codes of a row and their right neighbours: 16 times a code at most. */
TG_INLINE tg_lane_sums tg_dsp_binomial_5(const int8_t *codes, int32_t channels)
{
    const tg_lane_sums middle = tg_lane_sums_of(codes + 2 * channels);
    tg_lane_sums near = tg_lane_sums_with(middle, codes + channels);
    near = tg_lane_sums_with(near, codes + 3 * channels);
    tg_lane_sums sums = tg_lane_sums_twice(tg_lane_sums_add(tg_lane_sums_twice(near), middle));
    sums = tg_lane_sums_with(sums, codes);
    return tg_lane_sums_with(sums, codes + 4 * channels);
}

/* The sums of all rows are 256 times a code: they fill the 16 bits of a lane, signed, and no more. */
TG_INLINE void tg_dsp_gaussian_5_row(const tg_filter_shape *s, const int8_t *const *rows, int8_t *output)
{
    const int32_t count = s->width * s->channels;
    int32_t i = 0;
    for (; i + 4 <= count; i += 4) {
        const tg_lane_sums middle = tg_dsp_binomial_5(rows[2] + i, s->channels);
        tg_lane_sums near = tg_lane_sums_add(middle, tg_dsp_binomial_5(rows[1] + i, s->channels));
        near = tg_lane_sums_add(near, tg_dsp_binomial_5(rows[3] + i, s->channels));
        tg_lane_sums sums = tg_lane_sums_twice(tg_lane_sums_add(tg_lane_sums_twice(near), middle));
        sums = tg_lane_sums_add(sums, tg_dsp_binomial_5(rows[0] + i, s->channels));
        sums = tg_lane_sums_add(sums, tg_dsp_binomial_5(rows[4] + i, s->channels));
        tg_store_word(output + i, tg_lane_bytes_shifted(sums, 128, 8));
    }
    for (; i < count; i++) {
        output[i] = tg_filter_gaussian_5_at(rows, s->channels, i);
    }
}

/* Columns of four windows in order of size, four bytes each. */
typedef struct {
    uint32_t least;
    uint32_t middle;
    uint32_t most;
} tg_lane_column;

TG_INLINE tg_lane_column tg_lane_sorted(const int8_t *const *rows, int32_t i)
{
    const uint32_t a = tg_load_word(rows[0] + i);
    const uint32_t b = tg_load_word(rows[1] + i);
    const uint32_t c = tg_load_word(rows[2] + i);
    const uint32_t low = tg_min_4(a, b);
    const uint32_t high = tg_max_4(a, b);
    const uint32_t rest = tg_max_4(low, c);
    return (tg_lane_column){tg_min_4(low, c), tg_min_4(high, rest), tg_max_4(high, rest)};
}

TG_INLINE uint32_t tg_lane_middle_4(uint32_t a, uint32_t b, uint32_t c)
{
    return tg_max_4(tg_min_4(a, b), tg_min_4(tg_max_4(a, b), c));
}

TG_INLINE void tg_dsp_median_row(const tg_filter_shape *s, const int8_t *const *rows, int8_t *output)
{
    const int32_t count = s->width * s->channels;
    int32_t i = 0;
    for (; i + 4 <= count; i += 4) {
        const tg_lane_column a = tg_lane_sorted(rows, i);
        const tg_lane_column b = tg_lane_sorted(rows, i + s->channels);
        const tg_lane_column c = tg_lane_sorted(rows, i + 2 * s->channels);
        const uint32_t low = tg_max_4(tg_max_4(a.least, b.least), c.least);
        const uint32_t high = tg_min_4(tg_min_4(a.most, b.most), c.most);
        const uint32_t middle = tg_lane_middle_4(a.middle, b.middle, c.middle);
        tg_store_word(output + i, tg_lane_middle_4(low, middle, high));
    }
    for (; i < count; i++) {
        output[i] = tg_filter_median_at(rows, s->channels, i);
    }
}

#define TG_DSP_FILTER(name, row)                                                                  \
    TG_INLINE void name(const tg_filter_shape *s, const int8_t *input, void *scratch, int8_t *output) \
    {                                                                                             \
        tg_filter_rows(s, input, scratch, output, row);                                           \
    }

TG_DSP_FILTER(tg_dsp_filter_mean_2, tg_dsp_mean_2_row)
TG_DSP_FILTER(tg_dsp_filter_mean_3, tg_dsp_mean_3_row)
TG_DSP_FILTER(tg_dsp_filter_gaussian_3, tg_dsp_gaussian_3_row)
TG_DSP_FILTER(tg_dsp_filter_gaussian_5, tg_dsp_gaussian_5_row)
TG_DSP_FILTER(tg_dsp_filter_median_3, tg_dsp_median_row)

#endif
