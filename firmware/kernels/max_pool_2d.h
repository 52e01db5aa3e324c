/* SPDX-License-Identifier: Apache-2.0 */
/* MAX_POOL_2D, int8 and int16, NHWC. Reference: TFLite
   kernels/internal/reference/integer_ops/pooling.h */
#ifndef TG_MAX_POOL_2D_H
#define TG_MAX_POOL_2D_H

#include "pool_2d.h"

#define TG_MAX_POOL_2D(name, type)                                                                         \
    TG_INLINE void name(const tg_pool_2d_shape *s, const type *input, type *output)                        \
    {                                                                                                      \
        for (int32_t batch = 0; batch < s->batches; batch++) {                                             \
            for (int32_t row = 0; row < s->output_height; row++) {                                         \
                for (int32_t column = 0; column < s->output_width; column++) {                             \
                    const tg_pool_window w = tg_pool_window_at(s, row, column);                            \
                    for (int32_t c = 0; c < s->channels; c++) {                                            \
                        int32_t largest = s->low;                                                          \
                        for (int32_t y = w.first_row; y < w.last_row; y++) {                               \
                            for (int32_t x = w.first_column; x < w.last_column; x++) {                     \
                                const int32_t code = input[(y * s->input_width + x) * s->channels + c];    \
                                largest = code > largest ? code : largest;                                 \
                            }                                                                              \
                        }                                                                                  \
                        *output++ = (type)tg_clamp(largest, s->low, s->high);                              \
                    }                                                                                      \
                }                                                                                          \
            }                                                                                              \
            input += s->input_height * s->input_width * s->channels;                                       \
        }                                                                                                  \
    }

TG_MAX_POOL_2D(tg_max_pool_2d_s8, int8_t)
TG_MAX_POOL_2D(tg_max_pool_2d_s16, int16_t)

#endif
