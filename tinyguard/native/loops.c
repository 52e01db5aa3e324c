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

INLINE float clamped(double y, double low, double high) {
    y = floor(y);
    y = y < low ? low : y;
    return (float)(y > high ? high : y);
}

/* Elements that a rule is written out for: several rows where they are narrow, so that the loops are long. */
enum { WIDE = 256 };

/* Codes (rows, channels) of sums; `outside` may be null. Sums and bounds are compared as BOUND; in float32
 * both are exact, or the bound is beyond every sum.
 */
#define CODES(NAME, BOUND, SUM, PITCH, ...)                                                                \
    EVERY_CPU void NAME(const struct rule *rule, __VA_ARGS__, float *codes, uint8_t *outside, size_t rows, \
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
                        codes[to + i] = clamped(y + (x < 0 ? -tilt[i] : tilt[i]), low, high);              \
                    }                                                                                      \
                } else {                                                                                   \
                    _Pragma("GCC ivdep") for (size_t i = 0; i < count; i++) {                              \
                        codes[to + i] = clamped((SUM) * factor[i] + addend[i], low, high);                 \
                    }                                                                                      \
                }                                                                                          \
            }                                                                                              \
        }                                                                                                  \
    }

CODES(tg_codes_f32, float, (double)sums[from + i], channels, const float *sums)
CODES(tg_codes_f64, double, sums[from + i], channels, const double *sums)
CODES(tg_codes_i32, double, (double)sums[from + i], pitch, const int32_t *sums, size_t pitch)
CODES(tg_codes_halves, double, (double)lower[from + i] + 256.0 * (double)upper[from + i], channels,
      const float *lower, const float *upper)

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
        bytes[i] = (uint8_t)((int32_t)x[i] + 128);
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

EVERY_CPU void tg_weighted_pair(const float *a, const float *b, float *restrict codes, uint8_t *outside,
                                size_t count, float of_a, float of_b, float addend, float low, float high) {
    for (size_t i = 0; i < count; i++) {
        const float real = (a[i] * of_a + addend) + b[i] * of_b;
        const float above = real < low ? low : real, inside = above > high ? high : above;
        codes[i] = rintf(inside);
    }
    if (outside) {
#pragma GCC ivdep
        for (size_t i = 0; i < count; i++) {
            const float real = (a[i] * of_a + addend) + b[i] * of_b;
            outside[i] = (real < low) | (real > high);
        }
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
