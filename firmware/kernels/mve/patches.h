/* SPDX-License-Identifier: Apache-2.0 */
/* Windows laid out one after the other, padding filled with the zero point, for the products of conv_2d.

   A column of windows shares its rows: `tile` holds, for one output column, the kernel_width pixels of each
   input row, so that every window of the column is one run of bytes. A row of windows likewise shares its
   columns. Windows of any other form are copied four at a time. */
#ifndef TG_MVE_PATCHES_H
#define TG_MVE_PATCHES_H

#include "window.h"
#include "mve/copy.h"

typedef struct {
    int32_t input_height, input_width, input_channels;
    int32_t output_height, output_width;
    int32_t kernel_height, kernel_width;
    int32_t stride_height, stride_width;
    int32_t dilation_height, dilation_width;
    int32_t pad_top, pad_left;
    int32_t zero_point; /* of the input */
    int32_t window;     /* bytes from one of four copied windows to the next */
} tg_mve_patches_shape;

TG_INLINE int32_t tg_mve_least(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

TG_INLINE int32_t tg_mve_most(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

/* Rows of the windows of output column `column`. The tile keeps its padding from column to column: it is
   filled at the first, and again where the window passes the right border. 16 bytes more than its rows are
   written. */
TG_INLINE void tg_mve_column_tile(const tg_mve_patches_shape *s, const int8_t *input, int32_t column,
                                  int8_t *tile)
{
    const int32_t channels = s->input_channels;
    const int32_t run = s->kernel_width * channels;
    const int32_t line = s->input_width * channels;
    const int32_t rows = (s->output_height - 1) * s->stride_height + s->kernel_height;
    const int32_t x = column * s->stride_width - s->pad_left;
    const int32_t left = tg_mve_most(0, -x);
    const int32_t right = tg_mve_least(s->kernel_width, s->input_width - x);
    const int32_t last = tg_mve_least(s->input_height, rows - s->pad_top);
    if (column == 0 || right < s->kernel_width) {
        tg_mve_fill(tile, s->zero_point, rows * run);
    }
    const int8_t *from = input + (x + left) * channels;
    int8_t *to = tile + s->pad_top * run + left * channels;
    if (left > 0 || right < s->kernel_width) {
        for (int32_t y = 0; y < last; y++) {
            tg_mve_copy_exact(to, from, (right - left) * channels);
            from += line;
            to += run;
        }
        return;
    }
    /* All but the last rows may be copied with what follows them: later rows write over it. */
    const int32_t excess = (run + 15) / 16 * 16 - run;
    const int32_t over = last - (excess + run - 1) / run;
    int32_t y = 0;
    for (; y < over; y++) {
        tg_mve_copy_over(to, from, run);
        from += line;
        to += run;
    }
    for (; y < last; y++) {
        tg_mve_copy_exact(to, from, run);
        from += line;
        to += run;
    }
}

/* Columns of the windows of output row `row`: for each column its kernel_height pixels. */
TG_INLINE void tg_mve_row_tile(const tg_mve_patches_shape *s, const int8_t *input, int32_t row, int8_t *tile)
{
    const int32_t channels = s->input_channels;
    const int32_t run = s->kernel_height * channels;
    const int32_t columns = (s->output_width - 1) * s->stride_width + s->kernel_width;
    const int32_t y = row * s->stride_height - s->pad_top;
    const int32_t first = tg_mve_most(0, -y);
    const int32_t end = tg_mve_least(s->kernel_height, s->input_height - y);
    const int32_t last = tg_mve_least(s->input_width, columns - s->pad_left);
    if (row == 0 || end < s->kernel_height) {
        tg_mve_fill(tile, s->zero_point, columns * run);
    }
    for (int32_t k = first; k < end; k++) {
        const int8_t *from = input + (y + k) * s->input_width * channels;
        int8_t *to = tile + s->pad_left * run + k * channels;
        for (int32_t x = 0; x < last; x++) {
            tg_mve_copy_exact(to, from, channels);
            from += channels;
            to += run;
        }
    }
}

/* The windows of four output pixels from `first` on; past the last pixel it is repeated. */
TG_INLINE void tg_mve_four_windows(const tg_mve_patches_shape *s, const int8_t *input, int32_t first,
                                   int8_t *to)
{
    const int32_t channels = s->input_channels;
    const int32_t line = s->input_width * channels;
    const int32_t run = s->kernel_width * channels;
    const int32_t pixels = s->output_height * s->output_width;
    for (int32_t k = 0; k < 4; k++, to += s->window) {
        const int32_t pixel = tg_mve_least(first + k, pixels - 1);
        const int32_t y = pixel / s->output_width * s->stride_height - s->pad_top;
        const int32_t x = pixel % s->output_width * s->stride_width - s->pad_left;
        const int32_t top = tg_first_tap(y, s->dilation_height);
        const int32_t bottom = tg_last_tap(y, s->dilation_height, s->kernel_height, s->input_height);
        const int32_t left = tg_first_tap(x, s->dilation_width);
        const int32_t right = tg_last_tap(x, s->dilation_width, s->kernel_width, s->input_width);
        if (top > 0 || left > 0 || bottom < s->kernel_height || right < s->kernel_width) {
            tg_mve_fill(to, s->zero_point, s->kernel_height * run);
        }
        const int8_t *from = input + (y + top * s->dilation_height) * line;
        from += (x + left * s->dilation_width) * channels;
        int8_t *row = to + top * run + left * channels;
        for (int32_t i = top; i < bottom; i++) {
            if (s->dilation_width > 1) {
                for (int32_t j = 0; j < right - left; j++) {
                    tg_mve_copy_exact(row + j * channels, from + j * s->dilation_width * channels, channels);
                }
            } else if (right > left) {
                tg_mve_copy_exact(row, from, (right - left) * channels);
            }
            from += s->dilation_height * line;
            row += run;
        }
    }
}

#endif
