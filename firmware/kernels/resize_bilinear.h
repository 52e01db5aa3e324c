/* SPDX-License-Identifier: Apache-2.0 */
/* RESIZE_BILINEAR, int8 and int16, NHWC. Tables hold, for every output row and column, the input
   elements on either side and the weight of the second in 1/1024.
   Reference: TFLite kernels/internal/reference/resize_bilinear.h, ResizeBilinearInteger */
#ifndef TG_RESIZE_BILINEAR_H
#define TG_RESIZE_BILINEAR_H

#include "resize.h"

TG_INLINE int32_t tg_between(int32_t first, int32_t last, int32_t weight)
{
    return first * (1024 - weight) + last * weight;
}

/* `sum` is int32_t for int8 codes, int64_t for int16 codes: four codes times two weights. */
#define TG_RESIZE_BILINEAR(name, type, sum)                                                                \
    TG_INLINE void name(const tg_resize_shape *s, const int16_t *rows, const int16_t *columns,             \
                        const type *input, type *output)                                                   \
    {                                                                                                      \
        const int32_t line = s->input_width * s->channels;                                                 \
        for (int32_t batch = 0; batch < s->batches; batch++) {                                             \
            for (int32_t y = 0; y < s->output_height; y++) {                                               \
                const type *above = input + rows[3 * y] * line;                                            \
                const type *below = input + rows[3 * y + 1] * line;                                        \
                const int32_t down = rows[3 * y + 2];                                                      \
                for (int32_t x = 0; x < s->output_width; x++) {                                            \
                    const int32_t left = columns[3 * x] * s->channels;                                     \
                    const int32_t right = columns[3 * x + 1] * s->channels;                                \
                    const int32_t across = columns[3 * x + 2];                                             \
                    for (int32_t c = 0; c < s->channels; c++) {                                            \
                        const int32_t first = tg_between(above[left + c], above[right + c], across);       \
                        const int32_t last = tg_between(below[left + c], below[right + c], across);        \
                        const sum total = (sum)first * (1024 - down) + (sum)last * down;                   \
                        const sum half = total > 0 ? 1 << 19 : -(1 << 19);                                 \
                        *output++ = (type)((total + half) / (1 << 20));                                    \
                    }                                                                                      \
                }                                                                                          \
            }                                                                                              \
            input += s->input_height * line;                                                               \
        }                                                                                                  \
    }

TG_RESIZE_BILINEAR(tg_resize_bilinear_s8, int8_t, int32_t)
TG_RESIZE_BILINEAR(tg_resize_bilinear_s16, int16_t, int64_t)

#endif
