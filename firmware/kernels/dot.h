/* SPDX-License-Identifier: Apache-2.0 */
/* Dot products of codes and int8 weights, the heart of convolution and fully connected layers. */
#ifndef TG_DOT_H
#define TG_DOT_H

#include "dsp.h"

/* acc[k] += sum (input[i] + offset) * weights_k[i], for two rows of weights. */
TG_INLINE void tg_dot_2(const int8_t *input, const int8_t *weights_0, const int8_t *weights_1, int32_t count,
                        int32_t offset, int32_t *acc_0, int32_t *acc_1)
{
    int32_t sum_0 = *acc_0;
    int32_t sum_1 = *acc_1;
    int32_t i = 0;
#if TG_DSP
    const uint32_t offsets = tg_both_lanes(offset);
    for (; i + 4 <= count; i += 4) {
        const uint32_t x = tg_load_word(input + i);
        const uint32_t w0 = tg_load_word(weights_0 + i);
        const uint32_t w1 = tg_load_word(weights_1 + i);
        const uint32_t even = tg_sxtab16_acle(offsets, x);
        const uint32_t odd = tg_sxtab16_acle(offsets, tg_rotate_8(x));
        sum_0 = tg_smlad_acle(even, tg_sxtb16_acle(w0), sum_0);
        sum_1 = tg_smlad_acle(even, tg_sxtb16_acle(w1), sum_1);
        sum_0 = tg_smlad_acle(odd, tg_sxtb16_acle(tg_rotate_8(w0)), sum_0);
        sum_1 = tg_smlad_acle(odd, tg_sxtb16_acle(tg_rotate_8(w1)), sum_1);
    }
#endif
    for (; i < count; i++) {
        const int32_t x = input[i] + offset;
        sum_0 += x * weights_0[i];
        sum_1 += x * weights_1[i];
    }
    *acc_0 = sum_0;
    *acc_1 = sum_1;
}

/* acc + sum input[i] * weights[i] for 16-bit codes with zero point 0, in 64 bits. */
TG_INLINE int64_t tg_dot_s16(const int16_t *input, const int8_t *weights, int32_t count, int64_t acc)
{
    int32_t i = 0;
#if TG_DSP
    for (; i + 4 <= count; i += 4) {
        const uint32_t x01 = tg_load_word(input + i);
        const uint32_t x23 = tg_load_word(input + i + 2);
        const uint32_t w = tg_load_word(weights + i);
        const uint32_t even = (x01 & 0xFFFFu) | (x23 << 16);
        const uint32_t odd = (x01 >> 16) | (x23 & 0xFFFF0000u);
        acc = tg_smlald_acle(even, tg_sxtb16_acle(w), acc);
        acc = tg_smlald_acle(odd, tg_sxtb16_acle(tg_rotate_8(w)), acc);
    }
#endif
    for (; i < count; i++) {
        acc += input[i] * weights[i];
    }
    return acc;
}

/* Accumulator to int8 code. */
TG_INLINE int8_t tg_requantize_s8(int32_t acc, int32_t multiplier, int32_t shift, int32_t offset, int32_t low,
                                  int32_t high)
{
    return (int8_t)tg_clamp(tg_scale(acc, multiplier, shift) + offset, low, high);
}

/* Accumulator to int16 code: `wide` is the rule for 64-bit accumulators, else the sum fits 32 bits. */
TG_INLINE int16_t tg_requantize_s16(int64_t acc, int32_t multiplier, int32_t shift, int32_t low, int32_t high,
                                    int32_t wide)
{
    const int32_t scaled =
        wide ? tg_scale_wide(acc, multiplier, shift) : tg_scale((int32_t)acc, multiplier, shift);
    return (int16_t)tg_clamp(scaled, low, high);
}

#endif
