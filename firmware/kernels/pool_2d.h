/* SPDX-License-Identifier: Apache-2.0 */
/* What AVERAGE_POOL_2D and MAX_POOL_2D share: the shape, and the part of a window inside the input. */
#ifndef TG_POOL_2D_H
#define TG_POOL_2D_H

#include "fixed_point.h"
#include "window.h"

typedef struct {
    int32_t batches;
    int32_t input_height, input_width, channels;
    int32_t output_height, output_width;
    int32_t kernel_height, kernel_width;
    int32_t stride_height, stride_width;
    int32_t pad_top, pad_left;
    int32_t low, high; /* clamp */
} tg_pool_2d_shape;

/* Rows and columns of the input, the last ones excluded. */
typedef struct {
    int32_t first_row, last_row, first_column, last_column;
} tg_pool_window;

TG_INLINE tg_pool_window tg_pool_window_at(const tg_pool_2d_shape *s, int32_t row, int32_t column)
{
    const int32_t y = row * s->stride_height - s->pad_top;
    const int32_t x = column * s->stride_width - s->pad_left;
    const tg_pool_window window = {
        .first_row = y + tg_first_tap(y, 1),
        .last_row = y + tg_last_tap(y, 1, s->kernel_height, s->input_height),
        .first_column = x + tg_first_tap(x, 1),
        .last_column = x + tg_last_tap(x, 1, s->kernel_width, s->input_width),
    };
    return window;
}

#endif
