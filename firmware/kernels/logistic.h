/* SPDX-License-Identifier: Apache-2.0 */
/* LOGISTIC and TANH on int16 codes.
   Reference: TFLite kernels/internal/reference/integer_ops/logistic.h, tanh.h */
#ifndef TG_LOGISTIC_H
#define TG_LOGISTIC_H

#include "fixed_point.h"

/* A code in steps of 1/12288. */
TG_INLINE int32_t tg_logistic_steps(int32_t code, int32_t multiplier, int32_t shift)
{
    return shift > 0 ? (code * multiplier + (1 << (shift - 1))) >> shift : code * multiplier;
}

/* sigmoid in Q0.(16 + bits) of magnitude / 24 / 2^bits, below entry 255; `sigmoid` lacks its 1/2. */
TG_INLINE int32_t tg_logistic_between(const int16_t *sigmoid, int32_t magnitude, int32_t bits)
{
    const int32_t entry = magnitude >> bits;
    const int32_t part = magnitude & ((1 << bits) - 1);
    const int32_t base = sigmoid[entry];
    return (base + 32768) * (1 << bits) + part * (sigmoid[entry + 1] - base);
}

TG_INLINE void tg_logistic_s16(const int16_t *input, const int16_t *sigmoid, int32_t multiplier,
                               int32_t shift, int32_t count, int16_t *output)
{
    for (int32_t i = 0; i < count; i++) {
        const int32_t x = tg_logistic_steps(input[i], multiplier, shift);
        const int32_t magnitude = x < 0 ? -x : x;
        const int32_t above =
            magnitude >> 9 >= 255 ? 0x7FFF << 10 : tg_logistic_between(sigmoid, magnitude, 9);
        const int32_t result = x < 0 ? (1 << 25) - above - 1 : above;
        output[i] = (int16_t)((result + (1 << 9)) >> 10);
    }
}

/* tanh(x) = 2 sigmoid(2x) - 1 */
TG_INLINE void tg_tanh_s16(const int16_t *input, const int16_t *sigmoid, int32_t multiplier, int32_t shift,
                           int32_t count, int16_t *output)
{
    for (int32_t i = 0; i < count; i++) {
        const int32_t x = tg_logistic_steps(input[i], multiplier, shift);
        const int32_t magnitude = x < 0 ? -x : x;
        const int32_t twice =
            magnitude >> 8 >= 255 ? 0xFFFF << 8 : tg_logistic_between(sigmoid, magnitude, 8);
        const int32_t above = twice - (1 << 23);
        const int32_t result = x < 0 ? -above - 1 : above;
        output[i] = (int16_t)((result + (1 << 7)) >> 8);
    }
}

#endif
