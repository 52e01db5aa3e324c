/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions of whole codes for x86 processors with AVX2, whose one instruction multiplies 16 pairs of 16
 * bits and adds each pair in 32: exact, and with twice the products of a float32 instruction. Requantization
 * follows while the sums are in the cache.
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "every_cpu.h"
#include "rule.h"

/* Of images (height, width, channels). `pairs` is half the channels, rounded up, `padded_*` the extent with
 * the padding on all sides, `blocks` the output channels in eights, rounded up. */
struct convolution {
    int32_t input_height, input_width, channels, pairs;
    int32_t output_height, output_width, output_channels, blocks;
    int32_t kernel_height, kernel_width, stride_height, stride_width, dilation_height, dilation_width;
    int32_t pad_top, pad_left, padded_height, padded_width;
    int32_t zero_point;
};

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

enum { PIXELS = 4, LANES = 8, CHUNK = 4096 };

int32_t tg_multiplies_pairs(void) {
    return __builtin_cpu_supports("avx2") != 0;
}

#define AVX2 __attribute__((target("avx2")))

/* Codes without their zero point in 16 bits, zeros around. */
AVX2 static void lay_out(const struct convolution *c, const float *x, int16_t *laid) {
    const size_t pixel = 2 * (size_t)c->pairs, line = pixel * c->padded_width;
    const size_t left = pixel * c->pad_left, inner = pixel * c->input_width;
    for (int32_t row = 0; row < c->padded_height; row++, laid += line) {
        const int32_t y = row - c->pad_top;
        if (y < 0 || y >= c->input_height) {
            memset(laid, 0, line * sizeof *laid);
            continue;
        }
        memset(laid, 0, left * sizeof *laid);
        memset(laid + left + inner, 0, (line - left - inner) * sizeof *laid);
        const float *in = x + (size_t)y * c->input_width * c->channels;
        int16_t *out = laid + left;
        if (c->channels % 2 == 0) {
            for (size_t i = 0; i < inner; i++) {
                out[i] = (int16_t)((int32_t)in[i] - c->zero_point);
            }
            continue;
        }
        for (int32_t column = 0; column < c->input_width; column++, in += c->channels, out += pixel) {
            for (int32_t k = 0; k < c->channels; k++) {
                out[k] = (int16_t)((int32_t)in[k] - c->zero_point);
            }
            out[c->channels] = 0;
        }
    }
}

AVX2 static inline __m256i pair(const int16_t *at) {
    int32_t both;
    memcpy(&both, at, sizeof both);
    return _mm256_set1_epi32(both);
}

/* Sums of PIXELS windows for one (`two` false) or two blocks of channels. */
AVX2 INLINE void sum(const struct convolution *c, const int16_t *const at[PIXELS], const int16_t *weights,
                     const int32_t *bias, int32_t *const to[PIXELS], int two) {
    __m256i low[PIXELS], high[PIXELS];
    const size_t pixel = 2 * (size_t)c->pairs;
    const int joined = c->dilation_width == 1;
    const size_t run = (joined ? (size_t)c->kernel_width : 1) * c->pairs;
    const int runs = joined ? 1 : c->kernel_width;
    for (int i = 0; i < PIXELS; i++) {
        low[i] = _mm256_loadu_si256((const __m256i *)bias);
        high[i] = two ? _mm256_loadu_si256((const __m256i *)(bias + LANES)) : low[i];
    }
    for (int32_t row = 0; row < c->kernel_height; row++) {
        for (int32_t column = 0; column < runs; column++) {
            const size_t offset = pixel * ((size_t)row * c->dilation_height * c->padded_width +
                                           (size_t)column * c->dilation_width);
            for (size_t k = 0; k < run; k++) {
                const __m256i first = _mm256_loadu_si256((const __m256i *)weights);
                const __m256i second = two ? _mm256_loadu_si256((const __m256i *)(weights + 2 * LANES)) : first;
                weights += two ? 4 * LANES : 2 * LANES;
                for (int i = 0; i < PIXELS; i++) {
                    const __m256i codes = pair(at[i] + offset + 2 * k);
                    low[i] = _mm256_add_epi32(low[i], _mm256_madd_epi16(codes, first));
                    if (two) {
                        high[i] = _mm256_add_epi32(high[i], _mm256_madd_epi16(codes, second));
                    }
                }
            }
        }
    }
    for (int i = 0; i < PIXELS; i++) {
        _mm256_storeu_si256((__m256i *)to[i], low[i]);
        if (two) {
            _mm256_storeu_si256((__m256i *)(to[i] + LANES), high[i]);
        }
    }
}

/* Sums of the pixels `first` to `last` of an image, with 8 * blocks channels each. */
AVX2 static void sums_of(const struct convolution *c, const int16_t *laid, const int16_t *weights,
                         const int32_t *bias, int32_t *sums, int32_t first, int32_t last) {
    const size_t pixel = 2 * (size_t)c->pairs, wide = (size_t)LANES * c->blocks;
    const size_t taps = (size_t)c->kernel_height * c->kernel_width * c->pairs;
    const size_t line = pixel * c->stride_height * c->padded_width, step = pixel * c->stride_width;
    for (int32_t block = 0; block < c->blocks; block += 2) {
        const int two = block + 1 < c->blocks;
        int32_t row = first / c->output_width, column = first % c->output_width;
        int32_t *out = sums + (size_t)LANES * block;
        for (int32_t left = last - first; left > 0; left -= PIXELS) {
            const int16_t *at[PIXELS];
            int32_t *to[PIXELS];
            for (int i = 0; i < PIXELS; i++) {
                at[i] = laid + line * row + step * column;
                to[i] = out;
                if (i + 1 < left) { /* beyond the last pixel, that one again */
                    out += wide;
                    column++;
                    row += column == c->output_width;
                    column = column == c->output_width ? 0 : column;
                }
            }
            if (two) {
                sum(c, at, weights, bias + LANES * block, to, 1);
            } else {
                sum(c, at, weights, bias + LANES * block, to, 0);
            }
        }
        weights += (two ? 4 : 2) * LANES * taps;
    }
}

/* Of int32: what is kept of the sums, and room for the last windows that are made together. */
static size_t kept_sums(const struct convolution *c) {
    return CHUNK + (size_t)PIXELS * LANES * c->blocks;
}

/* The int16 that `laid` of tg_convolve has: the sums, then an image with its padding. */
int32_t tg_convolution_scratch(const struct convolution *c) {
    return (int32_t)(2 * kept_sums(c)) + c->padded_height * c->padded_width * 2 * c->pairs;
}

void tg_convolve(const struct convolution *c, const struct rule *rule, const int16_t *weights,
                 const int32_t *bias, const float *x, float *codes, uint8_t *outside, int16_t *laid,
                 size_t images) {
    const size_t wide = (size_t)LANES * c->blocks, channels = (size_t)c->output_channels;
    const int32_t pixels = c->output_height * c->output_width;
    int32_t *const sums = (int32_t *)laid;
    laid = (int16_t *)(sums + kept_sums(c));
    int32_t chunk = (int32_t)(CHUNK / wide);
    chunk = chunk < PIXELS ? PIXELS : chunk;
    for (size_t image = 0; image < images; image++) {
        lay_out(c, x, laid);
        for (int32_t first = 0; first < pixels; first += chunk) {
            const int32_t last = first + chunk < pixels ? first + chunk : pixels;
            sums_of(c, laid, weights, bias, sums, first, last);
            tg_codes_i32(rule, sums, wide, codes, outside, (size_t)(last - first), channels);
            codes += (size_t)(last - first) * channels;
            outside = outside ? outside + (size_t)(last - first) * channels : NULL;
        }
        x += (size_t)c->input_height * c->input_width * c->channels;
    }
}

#else

int32_t tg_multiplies_pairs(void) {
    return 0;
}

#endif
