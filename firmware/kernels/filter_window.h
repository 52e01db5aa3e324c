/* SPDX-License-Identifier: Apache-2.0 */
/* Filters over a window of rows and columns, each channel on its own, borders replicated. */
#ifndef TG_FILTER_WINDOW_H
#define TG_FILTER_WINDOW_H

#include <string.h>

#include "fixed_point.h"

#define TG_FILTER_MAX_ROWS 5

/* The window reaches from `before` rows and columns before an element to `after` past it. */
typedef struct {
    int32_t height;
    int32_t width;
    int32_t channels;
    int32_t before;
    int32_t after;
} tg_filter_shape;

/* One output row from the window's rows, each of width + before + after pixels. */
typedef void (*tg_filter_row)(const tg_filter_shape *s, const int8_t *const *rows, int8_t *output);

TG_INLINE int8_t *tg_filter_slot(const tg_filter_shape *s, int8_t *scratch, int32_t y)
{
    const int32_t count = s->before + s->after + 1;
    return scratch + (y % count) * (s->width + count - 1) * s->channels;
}

/* Row y of the image, with its borders, to where `tg_filter_slot` says. */
TG_INLINE void tg_filter_load(const tg_filter_shape *s, const int8_t *input, int8_t *scratch, int32_t y)
{
    const int32_t row = s->width * s->channels;
    int8_t *slot = tg_filter_slot(s, scratch, y);
    int8_t *middle = slot + s->before * s->channels;

    memcpy(middle, input + y * row, (uint32_t)row);
    for (int32_t i = s->before * s->channels - 1; i >= 0; i--) {
        slot[i] = slot[i + s->channels];
    }
    for (int32_t i = row; i < row + s->after * s->channels; i++) {
        middle[i] = middle[i - s->channels];
    }
}

/* scratch: before + after + 1 rows with their borders. The output may be the input: a row is written when
   every window that reads it has its copy. */
TG_INLINE void tg_filter_rows(const tg_filter_shape *s, const int8_t *input, void *scratch, int8_t *output,
                              tg_filter_row filter)
{
    const int8_t *rows[TG_FILTER_MAX_ROWS];
    const int32_t row = s->width * s->channels;

    for (int32_t y = 0; y < s->after && y < s->height; y++) {
        tg_filter_load(s, input, scratch, y);
    }
    for (int32_t y = 0; y < s->height; y++) {
        if (y + s->after < s->height) {
            tg_filter_load(s, input, scratch, y + s->after);
        }
        for (int32_t k = 0; k <= s->before + s->after; k++) {
            rows[k] = tg_filter_slot(s, scratch, tg_clamp(y - s->before + k, 0, s->height - 1));
        }
        filter(s, rows, output + y * row);
    }
}

#endif
