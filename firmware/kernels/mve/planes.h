/* SPDX-License-Identifier: Apache-2.0 */
/* The tile of a depthwise layer: four channels of the input in strips, one word per pixel, with its
   padding. */
#ifndef TG_MVE_PLANES_H
#define TG_MVE_PLANES_H

#include <string.h>

#include "mve/copy.h"

typedef struct {
    int32_t input_height, input_width, channels;
    int32_t strips, strip_step;      /* input columns from one strip to the next */
    int32_t last_strip;              /* first input column of the last strip's windows, padding apart */
    int32_t tile_rows, tile_columns; /* of a strip */
    int32_t pad_top, pad_left;
} tg_mve_planes_shape;

/* Words of `pixels` neighbours, four at a time; all addresses are multiples of 4. */
TG_INLINE void tg_mve_copy_words(int8_t *to, const int8_t *from, int32_t pixels, int32_t channels)
{
    const uint32x4_t offsets = vmulq_n_u32(vidupq_n_u32(0, 1), (uint32_t)channels);
    __asm__ volatile("wlstp.32 lr, %[pixels], 2f\n"
                     "1:\n\t"
                     "vldrw.u32 q0, [%[from], %q[offsets]]\n\t"
                     "vstrw.32 q0, [%[to]], #16\n\t"
                     "add %[from], %[from], %[step]\n\t"
                     "letp lr, 1b\n"
                     "2:"
                     : [to] "+r"(to), [from] "+r"(from)
                     : [pixels] "r"(pixels), [step] "r"(4 * channels), [offsets] "w"(offsets)
                     : "q0", "lr", "memory");
}

/* Four channels from `input` on into every strip; what lies outside the input is left as it is. */
TG_INLINE void tg_mve_planes_tile(const tg_mve_planes_shape *s, const int8_t *input, int8_t *tile)
{
    const int32_t line = s->input_width * s->channels;
    const int32_t below = s->input_height + s->pad_top;
    const int32_t end_row = below < s->tile_rows ? below : s->tile_rows;
    for (int32_t strip = 0; strip < s->strips; strip++) {
        const int32_t x = (strip == s->strips - 1 ? s->last_strip : strip * s->strip_step) - s->pad_left;
        const int32_t first = x < 0 ? -x : 0;
        const int32_t beyond = s->input_width - x;
        const int32_t end = beyond < s->tile_columns ? beyond : s->tile_columns;
        const int8_t *from = input + (x + first) * s->channels;
        int8_t *to = tile + ((strip * s->tile_rows + s->pad_top) * s->tile_columns + first) * 4;
        for (int32_t row = s->pad_top; row < end_row; row++) {
            if (s->channels % 4 == 0) {
                tg_mve_copy_words(to, from, end - first, s->channels);
            } else {
                for (int32_t k = 0; k < end - first; k++) {
                    memcpy(to + 4 * k, from + k * s->channels, 4);
                }
            }
            from += line;
            to += s->tile_columns * 4;
        }
    }
}

#endif
