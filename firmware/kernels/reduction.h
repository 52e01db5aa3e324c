/* SPDX-License-Identifier: Apache-2.0 */
/* What MEAN and REDUCE_MAX share: loops over kept and reduced axes, outermost first, sizes 1 where
   unused. Strides are in elements. */
#ifndef TG_REDUCTION_H
#define TG_REDUCTION_H

#include "fixed_point.h"

typedef struct {
    int32_t kept[3], kept_stride[3];
    int32_t reduced[3], reduced_stride[3];
    int32_t sum_offset;          /* MEAN: minus the input's zero point times the count */
    int32_t multiplier, shift;   /* MEAN: with 1 / count folded in */
    int32_t output_offset;       /* MEAN: the output's zero point */
} tg_reduction_shape;

/* Defines `name`, which applies `function`(shape, first element) to every output element. */
#define TG_REDUCE(name, type, function)                                                                    \
    TG_INLINE void name(const tg_reduction_shape *s, const type *input, type *output)                      \
    {                                                                                                      \
        for (int32_t i = 0; i < s->kept[0]; i++) {                                                         \
            for (int32_t j = 0; j < s->kept[1]; j++) {                                                     \
                const type *from = input + i * s->kept_stride[0] + j * s->kept_stride[1];                  \
                for (int32_t k = 0; k < s->kept[2]; k++) {                                                 \
                    *output++ = function(s, from + k * s->kept_stride[2]);                                 \
                }                                                                                          \
            }                                                                                              \
        }                                                                                                  \
    }

#endif
