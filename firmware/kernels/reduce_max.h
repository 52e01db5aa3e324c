/* SPDX-License-Identifier: Apache-2.0 */
/* REDUCE_MAX over any axes, int8 and int16. Reference: TFLite kernels/internal/reference/reduce.h */
#ifndef TG_REDUCE_MAX_H
#define TG_REDUCE_MAX_H

#include "reduction.h"

#define TG_MAX_ONE(name, type)                                                                             \
    TG_INLINE type name(const tg_reduction_shape *s, const type *input)                                    \
    {                                                                                                      \
        type largest = input[0];                                                                           \
        for (int32_t i = 0; i < s->reduced[0]; i++) {                                                      \
            for (int32_t j = 0; j < s->reduced[1]; j++) {                                                  \
                const type *from = input + i * s->reduced_stride[0] + j * s->reduced_stride[1];            \
                for (int32_t k = 0; k < s->reduced[2]; k++) {                                              \
                    const type code = from[k * s->reduced_stride[2]];                                      \
                    largest = code > largest ? code : largest;                                             \
                }                                                                                          \
            }                                                                                              \
        }                                                                                                  \
        return largest;                                                                                    \
    }

TG_MAX_ONE(tg_max_one_s8, int8_t)
TG_MAX_ONE(tg_max_one_s16, int16_t)
TG_REDUCE(tg_reduce_max_s8, int8_t, tg_max_one_s8)
TG_REDUCE(tg_reduce_max_s16, int16_t, tg_max_one_s16)

#endif
