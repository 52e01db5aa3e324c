/* SPDX-License-Identifier: Apache-2.0 */
/* MEAN over any axes, int8 and int16. Reference: TFLite kernels/internal/reference/reduce.h,
   QuantizedMeanOrSum */
#ifndef TG_MEAN_H
#define TG_MEAN_H

#include "reduction.h"

#define TG_MEAN_ONE(name, type, low, high)                                                                 \
    TG_INLINE type name(const tg_reduction_shape *s, const type *input)                                    \
    {                                                                                                      \
        int32_t sum = s->sum_offset;                                                                       \
        for (int32_t i = 0; i < s->reduced[0]; i++) {                                                      \
            for (int32_t j = 0; j < s->reduced[1]; j++) {                                                  \
                const type *from = input + i * s->reduced_stride[0] + j * s->reduced_stride[1];            \
                for (int32_t k = 0; k < s->reduced[2]; k++) {                                              \
                    sum += from[k * s->reduced_stride[2]];                                                 \
                }                                                                                          \
            }                                                                                              \
        }                                                                                                  \
        return (type)tg_clamp(tg_scale(sum, s->multiplier, s->shift) + s->output_offset, low, high);       \
    }

TG_MEAN_ONE(tg_mean_one_s8, int8_t, INT8_MIN, INT8_MAX)
TG_MEAN_ONE(tg_mean_one_s16, int16_t, INT16_MIN, INT16_MAX)
TG_REDUCE(tg_mean_s8, int8_t, tg_mean_one_s8)
TG_REDUCE(tg_mean_s16, int16_t, tg_mean_one_s16)

#endif
