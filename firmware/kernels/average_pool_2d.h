/* SPDX-License-Identifier: Apache-2.0 */
/* AVERAGE_POOL_2D, int8 and int16, NHWC. Reference: TFLite
   kernels/internal/reference/integer_ops/pooling.h */
#ifndef TG_AVERAGE_POOL_2D_H
#define TG_AVERAGE_POOL_2D_H

#include "pool_2d.h"

/* sum / count to nearest, ties away from zero. */
TG_INLINE int32_t tg_average(int32_t sum, int32_t count)
{
    return sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;
}

#define TG_AVERAGE_POOL_2D(name, type)                                                                     \
    TG_INLINE void name(const tg_pool_2d_shape *s, const type *input, type *output)                        \
    {                                                                                                      \
        for (int32_t batch = 0; batch < s->batches; batch++) {                                             \
            for (int32_t row = 0; row < s->output_height; row++) {                                         \
                for (int32_t column = 0; column < s->output_width; column++) {                             \
                    const tg_pool_window w = tg_pool_window_at(s, row, column);                            \
                    const int32_t count = (w.last_row - w.first_row) * (w.last_column - w.first_column);   \
                    for (int32_t c = 0; c < s->channels; c++) {                                            \
                        int32_t sum = 0;                                                                   \
                        for (int32_t y = w.first_row; y < w.last_row; y++) {                               \
                            for (int32_t x = w.first_column; x < w.last_column; x++) {                     \
                                sum += input[(y * s->input_width + x) * s->channels + c];                  \
                            }                                                                              \
                        }                                                                                  \
                        *output++ = (type)tg_clamp(tg_average(sum, count), s->low, s->high);               \
                    }                                                                                      \
                }                                                                                          \
            }                                                                                              \
            input += s->input_height * s->input_width * s->channels;                                       \
        }                                                                                                  \
    }

TG_AVERAGE_POOL_2D(tg_average_pool_2d_s8, int8_t)
TG_AVERAGE_POOL_2D(tg_average_pool_2d_s16, int16_t)

#endif
