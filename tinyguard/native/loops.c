/* SPDX-License-Identifier: Apache-2.0 */
/* Elementwise loops of the simulator: what takes torch several passes over memory, in one.
 *
 * Every function gives the bits of the torch code beside its caller, which has the proofs. Products and sums
 * are rounded one by one (-ffp-contract=off), so that no fused one rounds otherwise. Arrays are contiguous;
 * where a result may be written over its source, a loop says so with ivdep.
 */

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "every_cpu.h"
#include "rule.h"

INLINE double clamped(double y, double low, double high) {
    y = floor(y);
    y = y < low ? low : y;
    return y > high ? high : y;
}

/* How a code is written: as a float, or as a byte, 128 more. */
#define AS_FLOAT(code) ((float)(code))
#define AS_BYTE(code) ((uint8_t)((int32_t)(code) + 128))

/* Elements that a rule is written out for: several rows where they are narrow, so that the loops are long. */
enum { WIDE = 256 };

/* Codes (rows, channels) of sums, each a CODE; `outside` may be null. Sums and bounds are compared as BOUND; in
 * float32 both are exact, or the bound is beyond every sum.
 */
#define CODES(NAME, CODE, AS_CODE, BOUND, SUM, PITCH, ...)                                                 \
    EVERY_CPU void NAME(const struct rule *rule, __VA_ARGS__, CODE *codes, uint8_t *outside, size_t rows,  \
                        size_t channels) {                                                                 \
        double factor[WIDE], addend[WIDE], tilt[WIDE];                                                     \
        BOUND least[WIDE], most[WIDE];                                                                     \
        const double low = rule->low, high = rule->high;                                                   \
        for (size_t first = 0; first < channels; first += WIDE) {                                          \
            const size_t wide = channels - first < WIDE ? channels - first : WIDE;                         \
            const size_t repeats = (PITCH) == wide ? WIDE / wide : 1;                                      \
            for (size_t i = 0; i < wide; i++) {                                                            \
                factor[i] = rule->factor[first + i];                                                       \
                addend[i] = rule->addend[first + i];                                                       \
                tilt[i] = rule->tilt ? rule->tilt[first + i] : 0;                                          \
                least[i] = (BOUND)rule->least[first + i];                                                  \
                most[i] = (BOUND)rule->most[first + i];                                                    \
            }                                                                                              \
            for (size_t i = wide; i < wide * repeats; i++) {                                               \
                factor[i] = factor[i - wide];                                                              \
                addend[i] = addend[i - wide];                                                              \
                tilt[i] = tilt[i - wide];                                                                  \
                least[i] = least[i - wide];                                                                \
                most[i] = most[i - wide];                                                                  \
            }                                                                                              \
            for (size_t row = 0; row < rows; row += repeats) {                                             \
                const size_t count = wide * (rows - row < repeats ? rows - row : repeats);                 \
                const size_t from = row * (PITCH) + first, to = row * channels + first;                    \
                if (outside) {                                                                             \
                    _Pragma("GCC ivdep") for (size_t i = 0; i < count; i++) {                              \
                        const BOUND x = (BOUND)(SUM);                                                      \
                        outside[to + i] = (x < least[i]) | (x > most[i]);                                  \
                    }                                                                                      \
                }                                                                                          \
                if (rule->tilt) {                                                                          \
                    _Pragma("GCC ivdep") for (size_t i = 0; i < count; i++) {                              \
                        const double x = SUM, y = x * factor[i] + addend[i];                               \
                        codes[to + i] = AS_CODE(clamped(y + (x < 0 ? -tilt[i] : tilt[i]), low, high));     \
                    }                                                                                      \
                } else {                                                                                   \
                    _Pragma("GCC ivdep") for (size_t i = 0; i < count; i++) {                              \
                        codes[to + i] = AS_CODE(clamped((SUM) * factor[i] + addend[i], low, high));        \
                    }                                                                                      \
                }                                                                                          \
            }                                                                                              \
        }                                                                                                  \
    }

CODES(tg_codes_f32, float, AS_FLOAT, float, (double)sums[from + i], channels, const float *sums)
CODES(tg_code_bytes_f32, uint8_t, AS_BYTE, float, (double)sums[from + i], channels, const float *sums)
CODES(tg_codes_f64, float, AS_FLOAT, double, sums[from + i], channels, const double *sums)
CODES(tg_codes_i32, float, AS_FLOAT, double, (double)sums[from + i], pitch, const int32_t *sums, size_t pitch)
CODES(tg_codes_halves, float, AS_FLOAT, double, (double)lower[from + i] + 256.0 * (double)upper[from + i],
      channels, const float *lower, const float *upper)

/* x = 256 upper + lower, |lower| up to 128. */
EVERY_CPU void tg_halves(const float *x, float *restrict lower, float *restrict upper, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const float whole = rintf(x[i] * (1.0F / 256.0F));
        upper[i] = whole;
        lower[i] = x[i] - 256.0F * whole;
    }
}

/* Codes of 8 bits as bytes, 128 more. */
EVERY_CPU void tg_bytes(const float *restrict x, uint8_t *restrict bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        bytes[i] = AS_BYTE(x[i]);
    }
}

EVERY_CPU void tg_floats(const uint8_t *restrict bytes, float *restrict x, size_t count) {
    for (size_t i = 0; i < count; i++) {
        x[i] = (float)bytes[i] - 128.0F;
    }
}

/* x = 256 upper + lower of 16 bits, lower from 0 to 255; upper is written 128 more. */
EVERY_CPU void tg_byte_halves(const float *restrict x, uint8_t *restrict lower, uint8_t *restrict upper,
                              size_t count) {
    for (size_t i = 0; i < count; i++) {
        const int32_t code = (int32_t)x[i];
        upper[i] = (uint8_t)((code >> 8) + 128);
        lower[i] = (uint8_t)(code & 255);
    }
}

INLINE float weighted(float a, float b, float of_a, float of_b, float addend) {
    return (a * of_a + addend) + b * of_b;
}

INLINE float nearest(float real, float low, float high) {
    const float above = real < low ? low : real, inside = above > high ? high : above;
    return rintf(inside);
}

EVERY_CPU void tg_weighted_pair(const float *a, const float *b, float *restrict codes, uint8_t *outside,
                                size_t count, float of_a, float of_b, float addend, float low, float high) {
    for (size_t i = 0; i < count; i++) {
        codes[i] = nearest(weighted(a[i], b[i], of_a, of_b, addend), low, high);
    }
    if (outside) {
#pragma GCC ivdep
        for (size_t i = 0; i < count; i++) {
            const float real = weighted(a[i], b[i], of_a, of_b, addend);
            outside[i] = (real < low) | (real > high);
        }
    }
}

EVERY_CPU void tg_weighted_pair_bytes(const uint8_t *restrict a, const uint8_t *restrict b,
                                      uint8_t *restrict codes, size_t count, float of_a, float of_b,
                                      float addend, float low, float high) {
    for (size_t i = 0; i < count; i++) {
        const float x = (float)a[i] - 128.0F, y = (float)b[i] - 128.0F;
        codes[i] = AS_BYTE(nearest(weighted(x, y, of_a, of_b, addend), low, high));
    }
}

struct stage {
    double factor, tilt;
};

struct stages {
    struct stage a, b, output;
    double sign, least, most, low, high;
    int32_t upwards;
};

INLINE double rounded(double x, struct stage by, int upwards) {
    return floor(x * by.factor + (0.5 + (x < 0 && !upwards ? -by.tilt : by.tilt)));
}

EVERY_CPU void tg_staged_pair(const struct stages *stages, const float *a, const float *b,
                              float *restrict codes, uint8_t *restrict outside, size_t count) {
    const struct stages by = *stages;
    for (size_t i = 0; i < count; i++) {
        const double total = rounded(a[i], by.a, 0) + by.sign * rounded(b[i], by.b, 0);
        const double code = rounded(total, by.output, by.upwards);
        const double above = code < by.low ? by.low : code;
        codes[i] = (float)(above > by.high ? by.high : above);
    }
    if (outside) {
#pragma GCC ivdep
        for (size_t i = 0; i < count; i++) {
            const double total = rounded(a[i], by.a, 0) + by.sign * rounded(b[i], by.b, 0);
            outside[i] = (total < by.least) | (total > by.most);
        }
    }
}

/* The gradient, and where `outside` it plus `share` of it. */
EVERY_CPU void tg_keep_inside(const float *gradient, const uint8_t *restrict outside, float *restrict kept,
                              size_t count, float share) {
    for (size_t i = 0; i < count; i++) {
        kept[i] = gradient[i] + (share * gradient[i]) * (float)outside[i];
    }
}
