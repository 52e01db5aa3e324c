/* SPDX-License-Identifier: Apache-2.0 */
/* CONV_2D 3x3, stride 1, int8, by integer Winograd F(2x2, 3x3): 16 products for what takes 36.

   Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", with 2G in place of G: all is in
   integers, four times the sum comes out, and every transformed weight and code fits 16 bits. */
#ifndef TG_DSP_WINOGRAD_H
#define TG_DSP_WINOGRAD_H

#include "dsp.h"
#include "dsp/conv_2d.h"

/* Sums of products, 16 places of all windows, two channels: printed for the depth and the windows. */
typedef void tg_winograd_products(const int16_t *codes, const uint32_t *weights, uint32_t *sums);

/* Four places of one window in a row, two codes each. */
TG_INLINE void tg_winograd_place(uint32_t *to, int32_t place, const uint32_t a[4])
{
    to[0] = tg_ssub16_acle(a[0], a[2]);
    to[place] = tg_sadd16_acle(a[1], a[2]);
    to[2 * place] = tg_ssub16_acle(a[2], a[1]);
    to[3 * place] = tg_ssub16_acle(a[1], a[3]);
}

/* Rows `row` of the transformed windows, from lines `first` and `second`: 0 their difference, 1 their sum. */
TG_INLINE void tg_winograd_row(const tg_dsp_conv_2d_shape *s, const uint32_t *first, const uint32_t *second,
                               int32_t sum, uint32_t *to)
{
    const int32_t windows = s->output_width / 2;
    const int32_t step = s->channels / 2;
    uint32_t a[4] = {0};
    for (int32_t k = 0; k < 2; k++, first += step, second += step) {
        a[k] = sum ? tg_sadd16_acle(*first, *second) : tg_ssub16_acle(*first, *second);
    }
    for (int32_t window = 0; window < windows; window++, to += step) {
        for (int32_t k = 2; k < 4; k++, first += step, second += step) {
            a[k] = sum ? tg_sadd16_acle(*first, *second) : tg_ssub16_acle(*first, *second);
        }
        tg_winograd_place(to, windows * step, a);
        a[0] = a[2];
        a[1] = a[3];
    }
}

/* Four lines of codes to 16 places of each window. */
TG_INLINE void tg_winograd_codes(const tg_dsp_conv_2d_shape *s, const int16_t *lines, int16_t *codes)
{
    const int32_t row = 4 * s->output_width / 2 * s->channels / 2;
    const int32_t pitch = s->pitch / 2;
    for (int32_t word = 0; word < s->channels / 2; word++) {
        const uint32_t *d = (const uint32_t *)(const void *)lines + word;
        uint32_t *to = (uint32_t *)(void *)codes + word;
        tg_winograd_row(s, d, d + 2 * pitch, 0, to);
        tg_winograd_row(s, d + pitch, d + 2 * pitch, 1, to + row);
        tg_winograd_row(s, d + 2 * pitch, d + pitch, 0, to + 2 * row);
        tg_winograd_row(s, d + pitch, d + 3 * pitch, 0, to + 3 * row);
    }
}

/* One channel of one window: 16 sums to four codes. `p`: bias, multiplier, round, shift. */
TG_INLINE void tg_winograd_window(const tg_dsp_conv_2d_shape *s, const uint32_t *sums, const int32_t p[4],
                                  int32_t positive, int32_t low, int32_t high, int8_t *output)
{
    const int32_t place = s->output_width / 2 * 2;
    uint32_t t[2][4];
#pragma GCC unroll 4
    for (int32_t k = 0; k < 4; k++) {
        const uint32_t m0 = sums[k * place], m1 = sums[(4 + k) * place];
        const uint32_t m2 = sums[(8 + k) * place], m3 = sums[(12 + k) * place];
        t[0][k] = m0 + m1 + m2;
        t[1][k] = m1 - m2 - m3;
    }
#pragma GCC unroll 2
    for (int32_t y = 0; y < 2; y++) {
        const uint32_t four[2] = {t[y][0] + t[y][1] + t[y][2], t[y][1] - t[y][2] - t[y][3]};
#pragma GCC unroll 2
        for (int32_t x = 0; x < 2; x++) {
            const int32_t twice = ((int32_t)four[x] >> 1) + p[0];
            const int32_t code = tg_conv_scaled(twice, p[1], p[2], p[3], positive);
            output[(y * s->output_width + x) * s->output_channels] = tg_conv_clamp(code, low, high);
        }
    }
}

/* `positive`: no code below the zero point survives the clamp.
   Scratch: four lines of codes, 16 places of a row of windows, 16 places of two channels' sums. */
TG_INLINE void tg_dsp_winograd(const tg_dsp_conv_2d_shape *s, tg_winograd_products *products,
                               int32_t positive, int32_t low, int32_t high, const int8_t *input,
                               const uint32_t *weights, int8_t *output, void *scratch)
{
    const int32_t windows = s->output_width / 2;
    int16_t *lines = (int16_t *)scratch;
    int16_t *codes = lines + 4 * s->pitch;
    uint32_t *sums = (uint32_t *)(void *)(codes + 16 * windows * s->channels);
    for (int32_t y = 0; y < s->output_height; y += 2) {
        const uint32_t *record = weights;
        tg_dsp_conv_2d_tile(s, input, y, 0, 0, 2, s->output_width, lines);
        tg_winograd_codes(s, lines, codes);
        for (int32_t c = 0; c < s->output_channels; c += 2) {
            products(codes, record, sums);
            record += 16 * s->channels;
            for (int32_t k = 0; k < 2; k++, record += 4) {
                int8_t *to = output + y * s->output_width * s->output_channels + c + k;
                const int32_t *p = (const int32_t *)record;
                for (int32_t window = 0; window < windows; window++, to += 2 * s->output_channels) {
                    tg_winograd_window(s, sums + 2 * window + k, p, positive, low, high, to);
                }
            }
        }
    }
}

/* The printed assembly in C. */
TG_INLINE void tg_winograd_products_in_c(const int16_t *codes, const uint32_t *weights, uint32_t *sums,
                                         int32_t windows, int32_t depth)
{
    const int16_t *w = (const int16_t *)(const void *)weights;
    for (int32_t place = 0; place < 16; place++, w += 2 * depth) {
        for (int32_t window = 0; window < windows; window++, codes += depth) {
            for (int32_t channel = 0; channel < 2; channel++) {
                uint32_t sum = 0;
                for (int32_t k = 0; k < depth; k++) {
                    sum += (uint32_t)(codes[k] * w[(k & ~3) * 2 + channel * 4 + (k & 3)]);
                }
                *sums++ = sum;
            }
        }
    }
}

#endif
