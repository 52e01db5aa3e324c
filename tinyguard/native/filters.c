/* SPDX-License-Identifier: Apache-2.0 */
/* Input filters on batches of images, and the gradients of the smooth functions near them: the bits of the
 * torch and NumPy code in `simulator/window_filter.py` and `simulator/filter_total_variation.py`. Images are
 * (rows, row), row = width * channels elements; horizontal neighbours lie `channels` apart.
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "every_cpu.h"

struct shape {
    size_t images, rows, row, channels;
};

INLINE int16_t clamped(int16_t x, int16_t low, int16_t high) {
    const int16_t above = x < low ? low : x;
    return above > high ? high : above;
}

/* total[i] += flow[i], total[i + apart] -= flow[i], of the flows from each element to the one `apart`. */
INLINE void flow_int16(const int16_t *u, int16_t *restrict total, size_t count, size_t apart, int16_t low,
                       int16_t high) {
    for (size_t i = 0; i < count; i++) {
        total[i] = (int16_t)(total[i] + clamped((int16_t)(u[i + apart] - u[i]), low, high));
    }
    for (size_t i = 0; i < count; i++) {
        total[i + apart] = (int16_t)(total[i + apart] - clamped((int16_t)(u[i + apart] - u[i]), low, high));
    }
}

/* Codes in float32 after the descent of filter_total_variation.py. scratch: 3 images of int16. */
EVERY_CPU void tg_total_variation(const struct shape *shape, const float *codes, float *filtered,
                                  int16_t *scratch, int32_t iterations, int32_t width_bits) {
    const size_t rows = shape->rows, row = shape->row, apart = shape->channels, size = rows * row;
    const int16_t low = (int16_t) - (1 << width_bits), high = (int16_t)((1 << width_bits) - 1);
    int16_t *restrict const wanted = scratch, *restrict const u = scratch + size,
                            *restrict const total = scratch + 2 * size;
    for (size_t image = 0; image < shape->images; image++) {
        const float *const x = codes + image * size;
        float *restrict const y = filtered + image * size;
        for (size_t i = 0; i < size; i++) {
            wanted[i] = u[i] = (int16_t)(((int32_t)x[i] + 128) << 6);
        }
        for (int32_t k = 0; k < iterations; k++) {
            for (size_t i = 0; i < size; i++) {
                total[i] = (int16_t)(wanted[i] - u[i] + 4);
            }
            flow_int16(u, total, size - row, row, low, high);
            for (size_t r = 0; r < rows; r++) {
                flow_int16(u + r * row, total + r * row, row - apart, apart, low, high);
            }
            for (size_t i = 0; i < size; i++) {
                u[i] = (int16_t)(u[i] + (total[i] >> 3));
            }
        }
        for (size_t i = 0; i < size; i++) {
            y[i] = (float)(((u[i] + 32) >> 6) - 128);
        }
    }
}

INLINE float within(float x, float most) {
    const float above = x < -most ? -most : x;
    return above > most ? most : above;
}

INLINE void pull(const float *u, float *restrict total, uint8_t *restrict inside, size_t count, size_t apart,
                 float most) {
    for (size_t i = 0; i < count; i++) {
        const float between = u[i + apart] - u[i];
        inside[i] = (between >= -most) & (between <= most);
        total[i] += within(between, most);
    }
    for (size_t i = 0; i < count; i++) {
        total[i + apart] -= within(u[i + apart] - u[i], most);
    }
}

INLINE void push(const float *t, const uint8_t *inside, float *restrict g, size_t count, size_t apart) {
    for (size_t i = 0; i < count; i++) {
        g[i + apart] += inside[i] ? t[i] - t[i + apart] : 0;
    }
    for (size_t i = 0; i < count; i++) {
        g[i] -= inside[i] ? t[i] - t[i + apart] : 0;
    }
}

/* The gradient of the descent without rounding. scratch: 3 images of float32, and per
 * iteration 2 of one byte per element. */
EVERY_CPU void tg_total_variation_gradient(const struct shape *shape, const float *codes,
                                           const float *upstream, float *gradient, float *scratch,
                                           int32_t iterations, float strength, float step) {
    const size_t rows = shape->rows, row = shape->row, apart = shape->channels, size = rows * row;
    float *restrict const u = scratch, *restrict const total = scratch + size,
                          *restrict const g = scratch + 2 * size;
    uint8_t *const flags = (uint8_t *)(scratch + 3 * size);
    for (size_t image = 0; image < shape->images; image++) {
        const float *const x = codes + image * size;
        float *restrict const sum = gradient + image * size;
        memcpy(u, x, size * sizeof *u);
        for (int32_t k = 0; k < iterations; k++) {
            uint8_t *const down = flags + 2 * k * size, *const across = down + size;
            for (size_t i = 0; i < size; i++) {
                total[i] = x[i] - u[i];
            }
            pull(u, total, down, size - row, row, strength);
            for (size_t r = 0; r < rows; r++) {
                pull(u + r * row, total + r * row, across + r * row, row - apart, apart, strength);
            }
            for (size_t i = 0; i < size; i++) {
                u[i] += step * total[i];
            }
        }
        memcpy(g, upstream + image * size, size * sizeof *g);
        memset(sum, 0, size * sizeof *sum);
        for (int32_t k = iterations; k-- > 0;) {
            const uint8_t *const down = flags + 2 * k * size, *const across = down + size;
            for (size_t i = 0; i < size; i++) {
                total[i] = step * g[i];
                sum[i] += total[i];
                g[i] -= total[i];
            }
            push(total, down, g, size - row, row);
            for (size_t r = 0; r < rows; r++) {
                push(total + r * row, across + r * row, g + r * row, row - apart, apart);
            }
        }
        for (size_t i = 0; i < size; i++) {
            sum[i] += g[i];
        }
    }
}

INLINE void order(int8_t *a, int8_t *b) {
    const int8_t x = *a, y = *b;
    *a = x < y ? x : y;
    *b = x < y ? y : x;
}

/* Of nine, by 19 comparisons (Devillard 1998). */
INLINE int8_t middle(int8_t p[9]) {
    static const uint8_t pairs[19][2] = {{1, 2}, {4, 5}, {7, 8}, {0, 1}, {3, 4}, {6, 7}, {1, 2},
                                         {4, 5}, {7, 8}, {0, 3}, {5, 8}, {4, 7}, {3, 6}, {1, 4},
                                         {2, 5}, {4, 7}, {4, 2}, {6, 4}, {4, 2}};
#pragma GCC unroll 19
    for (int k = 0; k < 19; k++) {
        order(&p[pairs[k][0]], &p[pairs[k][1]]);
    }
    return p[4];
}

/* `padded` (rows + 2, row + 2 channels): the image as int8 with its outermost elements once more around it. */
INLINE void pad(const struct shape *shape, const float *x, int8_t *restrict padded) {
    const size_t rows = shape->rows, row = shape->row, channels = shape->channels, wide = row + 2 * channels;
    for (size_t r = 0; r < rows + 2; r++) {
        const float *const from = x + (r == 0 ? 0 : r > rows ? rows - 1 : r - 1) * row;
        int8_t *restrict const to = padded + r * wide;
        for (size_t i = 0; i < row; i++) {
            to[channels + i] = (int8_t)from[i];
        }
        for (size_t c = 0; c < channels; c++) {
            to[c] = to[channels + c];
            to[channels + row + c] = to[row + c];
        }
    }
}

/* The median of each 3x3 window. scratch: the padded image and a row, int8. */
EVERY_CPU void tg_median(const struct shape *shape, const float *codes, float *filtered, int8_t *scratch) {
    const size_t rows = shape->rows, row = shape->row, channels = shape->channels, wide = row + 2 * channels;
    for (size_t image = 0; image < shape->images; image++) {
        pad(shape, codes + image * rows * row, scratch);
        for (size_t r = 0; r < rows; r++) {
            const int8_t *const top = scratch + r * wide;
            float *restrict const y = filtered + (image * rows + r) * row;
            for (size_t i = 0; i < row; i++) {
                int8_t taps[9];
#pragma GCC unroll 9
                for (size_t tap = 0; tap < 9; tap++) {
                    taps[tap] = top[tap / 3 * wide + tap % 3 * channels + i];
                }
                y[i] = middle(taps);
            }
        }
    }
}

/* Each median's gradient goes to the first of its window's elements, row by row, that has its value. */
EVERY_CPU void tg_median_gradient(const struct shape *shape, const float *codes, const float *medians,
                                  const float *upstream, float *gradient, int8_t *scratch) {
    const size_t rows = shape->rows, row = shape->row, channels = shape->channels, wide = row + 2 * channels;
    memset(gradient, 0, shape->images * rows * row * sizeof *gradient);
    for (size_t image = 0; image < shape->images; image++) {
        pad(shape, codes + image * rows * row, scratch);
        for (size_t r = 0; r < rows; r++) {
            const int8_t *const top = scratch + r * wide;
            const size_t first = (image * rows + r) * row;
            uint8_t *restrict const chosen = (uint8_t *)scratch + (rows + 2) * wide;
            for (size_t i = 0; i < row; i++) {
                const int8_t y = (int8_t)medians[first + i];
                uint8_t from = 8;
#pragma GCC unroll 8
                for (size_t tap = 8; tap-- > 0;) {
                    from = top[tap / 3 * wide + tap % 3 * channels + i] == y ? (uint8_t)tap : from;
                }
                chosen[i] = from;
            }
            for (size_t i = 0; i < row; i++) {
                size_t down = r + chosen[i] / 3, across = i + chosen[i] % 3 * channels;
                down = down == 0 ? 0 : down > rows ? rows - 1 : down - 1;
                across = across < channels ? across : across >= row + channels ? across - 2 * channels
                                                                              : across - channels;
                gradient[(image * rows + down) * row + across] += upstream[first + i];
            }
        }
    }
}
