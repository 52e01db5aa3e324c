/* Dot products of int8 runs, the heart of convolution and fully connected layers. */
#ifndef TG_DOT_H
#define TG_DOT_H

#include <stdint.h>
#include <string.h>

#include "fixed_point.h"

#if defined(__ARM_FEATURE_DSP)
#include <arm_acle.h>

TG_INLINE uint32_t tg_load_word(const int8_t *bytes)
{
    uint32_t word;
    memcpy(&word, bytes, sizeof word); /* one LDR: these cores load unaligned words */
    return word;
}

TG_INLINE uint32_t tg_rotate_8(uint32_t x)
{
    return (x >> 8) | (x << 24);
}

/* acc[k] += sum (input[i] + offset) * weights_k[i], for two rows of weights, four codes a step. */
TG_INLINE void tg_dot_2(const int8_t *input, const int8_t *weights_0, const int8_t *weights_1, int32_t count,
                        int32_t offset, int32_t *acc_0, int32_t *acc_1)
{
    const uint32_t offsets = ((uint32_t)offset & 0xFFFFu) * 0x00010001u;
    int32_t sum_0 = *acc_0;
    int32_t sum_1 = *acc_1;
    int32_t i = 0;
    for (; i + 4 <= count; i += 4) {
        const uint32_t x = tg_load_word(input + i);
        const uint32_t w0 = tg_load_word(weights_0 + i);
        const uint32_t w1 = tg_load_word(weights_1 + i);
        const int16x2_t even = __sxtab16((int16x2_t)offsets, (int8x4_t)x);
        const int16x2_t odd = __sxtab16((int16x2_t)offsets, (int8x4_t)tg_rotate_8(x));
        sum_0 = __smlad(even, __sxtb16((int8x4_t)w0), sum_0);
        sum_1 = __smlad(even, __sxtb16((int8x4_t)w1), sum_1);
        sum_0 = __smlad(odd, __sxtb16((int8x4_t)tg_rotate_8(w0)), sum_0);
        sum_1 = __smlad(odd, __sxtb16((int8x4_t)tg_rotate_8(w1)), sum_1);
    }
    for (; i < count; i++) {
        const int32_t x = input[i] + offset;
        sum_0 += x * weights_0[i];
        sum_1 += x * weights_1[i];
    }
    *acc_0 = sum_0;
    *acc_1 = sum_1;
}

#else

TG_INLINE void tg_dot_2(const int8_t *input, const int8_t *weights_0, const int8_t *weights_1, int32_t count,
                        int32_t offset, int32_t *acc_0, int32_t *acc_1)
{
    int32_t sum_0 = *acc_0;
    int32_t sum_1 = *acc_1;
    for (int32_t i = 0; i < count; i++) {
        const int32_t x = input[i] + offset;
        sum_0 += x * weights_0[i];
        sum_1 += x * weights_1[i];
    }
    *acc_0 = sum_0;
    *acc_1 = sum_1;
}

#endif

/* The same for one row of weights. */
TG_INLINE int32_t tg_dot(const int8_t *input, const int8_t *weights, int32_t count, int32_t offset, int32_t acc)
{
    for (int32_t i = 0; i < count; i++) {
        acc += (input[i] + offset) * weights[i];
    }
    return acc;
}

#endif
