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

/* Codes (rows, channels) of sums; `outside` may be null. */
#define CODES(NAME, SUM, ...)                                                                              \
    EVERY_CPU void NAME(const struct rule *rule, __VA_ARGS__, float *codes, uint8_t *outside, size_t rows, \
                        size_t channels) {                                                                 \
        const double *const factor = rule->factor, *const addend = rule->addend, *const tilt = rule->tilt; \
        const double *const least = rule->least, *const most = rule->most;                                 \
        const double low = rule->low, high = rule->high;                                                   \
        for (size_t row = 0; row < rows; row++) {                                                          \
            const size_t first = row * channels;                                                           \
            if (outside) {                                                                                 \
                _Pragma("GCC ivdep") for (size_t c = 0; c < channels; c++) {                               \
                    const double x = SUM;                                                                  \
                    outside[first + c] = (x < least[c]) | (x > most[c]);                                   \
                }                                                                                          \
            }                                                                                              \
            if (tilt) {                                                                                    \
                _Pragma("GCC ivdep") for (size_t c = 0; c < channels; c++) {                               \
                    const double x = SUM, y = x * factor[c] + addend[c];                                   \
                    codes[first + c] = clamped(y + (x < 0 ? -tilt[c] : tilt[c]), low, high);               \
                }                                                                                          \
            } else {                                                                                       \
                _Pragma("GCC ivdep") for (size_t c = 0; c < channels; c++) {                               \
                    const double x = SUM;                                                                  \
                    codes[first + c] = clamped(x * factor[c] + addend[c], low, high);                      \
                }                                                                                          \
            }                                                                                              \
        }                                                                                                  \
    }

CODES(tg_codes_f32, sums[first + c], const float *sums)
CODES(tg_codes_f64, sums[first + c], const double *sums)
CODES(tg_codes_i32, sums[row * pitch + c], const int32_t *sums, size_t pitch)
CODES(tg_codes_halves, (double)lower[first + c] + 256.0 * (double)upper[first + c], const float *lower,
      const float *upper)

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
