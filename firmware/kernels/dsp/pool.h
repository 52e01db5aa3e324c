/* SPDX-License-Identifier: Apache-2.0 */
/* AVERAGE_POOL_2D, MAX_POOL_2D and MEAN over the pixels of int8 images, four channels at a time. */
#ifndef TG_DSP_POOL_H
#define TG_DSP_POOL_H

#include "average_pool_2d.h"
#include "dsp.h"
#include "dsp/requantize.h"

/* Pixels whose codes 16-bit lanes can sum. */
#define TG_POOL_LANES 255

/* sums[k] += codes of channel k over `pixels` pixels, `step` elements apart. */
TG_INLINE void tg_pool_sum_run(const int8_t *from, int32_t pixels, int32_t step, int32_t sums[4])
{
    while (pixels > 0) {
        uint32_t even = 0;
        uint32_t odd = 0;
        const int32_t count = pixels < TG_POOL_LANES ? pixels : TG_POOL_LANES;
#pragma GCC unroll 5
        for (int32_t x = 0; x < count; x++) {
            const uint32_t codes = tg_load_word(from);
            even = tg_sxtab16(even, codes);
            odd = tg_sxtab16_odd(odd, codes);
            from += step;
        }
        sums[0] += (int16_t)(even & 0xFFFFu);
        sums[1] += (int16_t)(odd & 0xFFFFu);
        sums[2] += (int16_t)(even >> 16);
        sums[3] += (int16_t)(odd >> 16);
        pixels -= count;
    }
}

/* The same over a window of pixels, its rows `row` and its columns `pixel` elements apart. */
TG_INLINE void tg_pool_sum_4(const int8_t *from, int32_t rows, int32_t columns, int32_t row, int32_t pixel,
                             int32_t sums[4])
{
    if (columns * pixel == row) { /* whole rows are one run */
        tg_pool_sum_run(from, rows * columns, pixel, sums);
        return;
    }
    for (int32_t y = 0; y < rows; y++) {
        tg_pool_sum_run(from + y * row, columns, pixel, sums);
    }
}

TG_INLINE int32_t tg_pool_sum_1(const int8_t *from, int32_t rows, int32_t columns, int32_t row, int32_t pixel)
{
    int32_t sum = 0;
    for (int32_t y = 0; y < rows; y++) {
        for (int32_t x = 0; x < columns; x++) {
            sum += from[y * row + x * pixel];
        }
    }
    return sum;
}

TG_INLINE void tg_pool_average_pixel(const tg_pool_2d_shape *s, const tg_pool_window *w, const int8_t *input,
                                     int8_t *output)
{
    const int32_t rows = w->last_row - w->first_row;
    const int32_t columns = w->last_column - w->first_column;
    const int32_t row = s->input_width * s->channels;
    const int8_t *from = input + w->first_row * row + w->first_column * s->channels;
    int32_t c = 0;
    for (; c + 4 <= s->channels; c += 4) {
        int32_t sums[4] = {0, 0, 0, 0};
        tg_pool_sum_4(from + c, rows, columns, row, s->channels, sums);
#pragma GCC unroll 4
        for (int32_t k = 0; k < 4; k++) {
            output[c + k] = (int8_t)tg_average(sums[k], rows * columns);
        }
    }
    for (; c < s->channels; c++) {
        const int32_t sum = tg_pool_sum_1(from + c, rows, columns, row, s->channels);
        output[c] = (int8_t)tg_average(sum, rows * columns);
    }
}

TG_INLINE void tg_pool_max_pixel(const tg_pool_2d_shape *s, const tg_pool_window *w, const int8_t *input,
                                 int8_t *output)
{
    const int32_t rows = w->last_row - w->first_row;
    const int32_t columns = w->last_column - w->first_column;
    const int32_t row = s->input_width * s->channels;
    const int8_t *from = input + w->first_row * row + w->first_column * s->channels;
    int32_t c = 0;
    for (; c + 4 <= s->channels; c += 4) {
        uint32_t largest = tg_load_word(from + c);
        for (int32_t y = 0; y < rows; y++) {
            const int8_t *at = from + c + y * row;
            for (int32_t x = 0; x < columns; x++) {
                largest = tg_max_4(largest, tg_load_word(at));
                at += s->channels;
            }
        }
        tg_store_word(output + c, largest);
    }
    for (; c < s->channels; c++) {
        int32_t largest = from[c];
        for (int32_t y = 0; y < rows; y++) {
            for (int32_t x = 0; x < columns; x++) {
                const int32_t code = from[c + y * row + x * s->channels];
                largest = code > largest ? code : largest;
            }
        }
        output[c] = (int8_t)largest;
    }
}

/* Defines `name`: `pixel` at every window, then the clamp. */
#define TG_POOL_EACH(name, pixel)                                                           \
    TG_INLINE void name(const tg_pool_2d_shape *s, const int8_t *input, int8_t *output)     \
    {                                                                                       \
        int8_t *to = output;                                                                \
        for (int32_t batch = 0; batch < s->batches; batch++) {                              \
            for (int32_t row = 0; row < s->output_height; row++) {                          \
                for (int32_t column = 0; column < s->output_width; column++) {              \
                    const tg_pool_window w = tg_pool_window_at(s, row, column);             \
                    pixel(s, &w, input, to);                                                \
                    to += s->channels;                                                      \
                }                                                                           \
            }                                                                               \
            input += s->input_height * s->input_width * s->channels;                        \
        }                                                                                   \
        if (s->low > INT8_MIN || s->high < INT8_MAX) {                                      \
            tg_clamp_codes(output, (int32_t)(to - output), s->low, s->high);                \
        }                                                                                   \
    }

TG_POOL_EACH(tg_average_pool_4_s8, tg_pool_average_pixel)
TG_POOL_EACH(tg_max_pool_4_s8, tg_pool_max_pixel)

typedef struct {
    int32_t pixels, channels;
    int32_t sum_offset; /* minus the input's zero point times the pixels */
    int32_t multiplier, shift, output_offset;
} tg_pixel_mean;

TG_INLINE int8_t tg_pixel_mean_code(const tg_pixel_mean *s, int32_t sum)
{
    const int32_t scaled = tg_scale(sum + s->sum_offset, s->multiplier, s->shift);
    return (int8_t)tg_clamp(scaled + s->output_offset, INT8_MIN, INT8_MAX);
}

TG_INLINE void tg_pixel_mean_s8(const tg_pixel_mean *s, const int8_t *input, int8_t *output)
{
    int32_t c = 0;
    for (; c + 4 <= s->channels; c += 4) {
        int32_t sums[4] = {0, 0, 0, 0};
        tg_pool_sum_4(input + c, 1, s->pixels, 0, s->channels, sums);
#pragma GCC unroll 4
        for (int32_t k = 0; k < 4; k++) {
            output[c + k] = tg_pixel_mean_code(s, sums[k]);
        }
    }
    for (; c < s->channels; c++) {
        output[c] = tg_pixel_mean_code(s, tg_pool_sum_1(input + c, 1, s->pixels, 0, s->channels));
    }
}

#endif
