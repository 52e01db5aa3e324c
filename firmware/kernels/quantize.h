/* SPDX-License-Identifier: Apache-2.0 */
/* QUANTIZE and DEQUANTIZE at the border: float32 to codes and back, each one IEEE operation per element.
   Reference: TFLite kernels/internal/reference/quantize.h, dequantize.h */
#ifndef TG_QUANTIZE_H
#define TG_QUANTIZE_H

#include "fixed_point.h"

/* x / scale to nearest, ties away from zero; far outside a code's range it saturates, NaN to the lowest. */
TG_INLINE int32_t tg_steps(float x, float scale)
{
    const float quotient = x / scale;
    if (!(quotient > -65536.0f)) {
        return -65536;
    }
    if (quotient > 65536.0f) {
        return 65536;
    }
    const int32_t whole = (int32_t)quotient;
    const float rest = quotient - (float)whole;
    return whole + (rest >= 0.5f) - (rest <= -0.5f);
}

TG_INLINE void tg_quantize_s8(const float *input, float scale, int32_t zero_point, int32_t count,
                              int8_t *output)
{
    for (int32_t i = 0; i < count; i++) {
        output[i] = (int8_t)tg_clamp(tg_steps(input[i], scale) + zero_point, -128, 127);
    }
}

TG_INLINE void tg_quantize_s16(const float *input, float scale, int32_t zero_point, int32_t count,
                               int16_t *output)
{
    for (int32_t i = 0; i < count; i++) {
        output[i] = (int16_t)tg_clamp(tg_steps(input[i], scale) + zero_point, -32768, 32767);
    }
}

TG_INLINE void tg_dequantize_s8(const int8_t *input, float scale, int32_t zero_point, int32_t count,
                                float *output)
{
    for (int32_t i = 0; i < count; i++) {
        output[i] = scale * (float)(input[i] - zero_point);
    }
}

TG_INLINE void tg_dequantize_s16(const int16_t *input, float scale, int32_t zero_point, int32_t count,
                                 float *output)
{
    for (int32_t i = 0; i < count; i++) {
        output[i] = scale * (float)(input[i] - zero_point);
    }
}

#endif
