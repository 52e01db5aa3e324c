/* SPDX-License-Identifier: Apache-2.0 */
/* FILTER_DCT: 8x8 blocks of each channel of int8 codes, their cosine coefficients rounded to steps.
   The rule and its shifts stand in tinyguard/operators/filter_dct.py. */
#ifndef TG_FILTER_DCT_H
#define TG_FILTER_DCT_H

#include "fixed_point.h"

#define TG_DCT_SIDE 8

typedef struct {
    int32_t height;
    int32_t width;
    int32_t channels;
} tg_dct_shape;

TG_INLINE int32_t tg_dct_half_up(int32_t x, int32_t shift)
{
    return (x + (1 << (shift - 1))) >> shift;
}

/* to[k][i] = sum over n of t * from[i][n], shifted, with t = table[k][n] forward and table[n][k] on the way
   back: a transform along rows that also turns the block, so that two of them leave it as it lay. */
TG_INLINE void tg_dct_pass(const int32_t *from, const int16_t *table, int32_t forward, int32_t shift,
                           int32_t *to)
{
    for (int32_t k = 0; k < TG_DCT_SIDE; k++) {
        for (int32_t i = 0; i < TG_DCT_SIDE; i++) {
            int32_t sum = 0;
#pragma GCC unroll 8
            for (int32_t n = 0; n < TG_DCT_SIDE; n++) {
                const int32_t at = forward ? k * TG_DCT_SIDE + n : n * TG_DCT_SIDE + k;
                sum += table[at] * from[i * TG_DCT_SIDE + n];
            }
            to[k * TG_DCT_SIDE + i] = tg_dct_half_up(sum, shift);
        }
    }
}

/* Coefficients in 1/8 to whole multiples of their steps. */
TG_INLINE void tg_dct_round(int32_t *block, const int16_t *steps)
{
    for (int32_t i = 0; i < TG_DCT_SIDE * TG_DCT_SIDE; i++) {
        const int32_t step = steps[i];
        const int32_t size = block[i] < 0 ? -block[i] : block[i];
        const int32_t rounded = (size + 4 * step) / (8 * step) * step;
        block[i] = block[i] < 0 ? -rounded : rounded;
    }
}

/* One channel of the block that begins at (top, left), clamped to the image. */
TG_INLINE void tg_dct_block(const tg_dct_shape *s, const int8_t *input, const int16_t *table,
                            const int16_t *steps, int32_t *a, int8_t *output, int32_t top, int32_t left)
{
    int32_t *b = a + TG_DCT_SIDE * TG_DCT_SIDE;

    for (int32_t y = 0; y < TG_DCT_SIDE; y++) {
        for (int32_t x = 0; x < TG_DCT_SIDE; x++) {
            const int32_t row = tg_clamp(top + y, 0, s->height - 1);
            const int32_t column = tg_clamp(left + x, 0, s->width - 1);
            a[y * TG_DCT_SIDE + x] = input[(row * s->width + column) * s->channels];
        }
    }
    tg_dct_pass(a, table, 1, 8, b);
    tg_dct_pass(b, table, 1, 11, a);
    tg_dct_round(a, steps);
    tg_dct_pass(a, table, 0, 8, b);
    tg_dct_pass(b, table, 0, 14, a);
    for (int32_t y = 0; y < TG_DCT_SIDE && top + y < s->height; y++) {
        for (int32_t x = 0; x < TG_DCT_SIDE && left + x < s->width; x++) {
            output[((top + y) * s->width + left + x) * s->channels] =
                (int8_t)tg_clamp(a[y * TG_DCT_SIDE + x], INT8_MIN, INT8_MAX);
        }
    }
}

/* scratch: two blocks. The output may be the input. */
TG_INLINE void tg_filter_dct(const tg_dct_shape *s, const int8_t *input, const int16_t *table,
                             const int16_t *steps, void *scratch, int8_t *output)
{
    for (int32_t top = 0; top < s->height; top += TG_DCT_SIDE) {
        for (int32_t left = 0; left < s->width; left += TG_DCT_SIDE) {
            for (int32_t c = 0; c < s->channels; c++) {
                tg_dct_block(s, input + c, table, steps, scratch, output + c, top, left);
            }
        }
    }
}

#endif
