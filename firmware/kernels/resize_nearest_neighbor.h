/* SPDX-License-Identifier: Apache-2.0 */
/* RESIZE_NEAREST_NEIGHBOR, int8 and int16, NHWC; the input row and column of every output row and
   column come as tables. Reference: TFLite kernels/internal/reference/resize_nearest_neighbor.h */
#ifndef TG_RESIZE_NEAREST_NEIGHBOR_H
#define TG_RESIZE_NEAREST_NEIGHBOR_H

#include "resize.h"

#define TG_RESIZE_NEAREST_NEIGHBOR(name, type)                                                             \
    TG_INLINE void name(const tg_resize_shape *s, const int16_t *rows, const int16_t *columns,             \
                        const type *input, type *output)                                                   \
    {                                                                                                      \
        for (int32_t batch = 0; batch < s->batches; batch++) {                                             \
            for (int32_t y = 0; y < s->output_height; y++) {                                               \
                const type *row = input + rows[y] * s->input_width * s->channels;                          \
                for (int32_t x = 0; x < s->output_width; x++) {                                            \
                    memcpy(output, row + columns[x] * s->channels, (size_t)s->channels * sizeof *output);  \
                    output += s->channels;                                                                 \
                }                                                                                          \
            }                                                                                              \
            input += s->input_height * s->input_width * s->channels;                                       \
        }                                                                                                  \
    }

TG_RESIZE_NEAREST_NEIGHBOR(tg_resize_nearest_neighbor_s8, int8_t)
TG_RESIZE_NEAREST_NEIGHBOR(tg_resize_nearest_neighbor_s16, int16_t)

#endif
