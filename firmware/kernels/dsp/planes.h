/* One to four channels of an NHWC image as planes of 16-bit codes, with the padding written out: what the
   depthwise kernels read. A plane is `lines` lines of `pitch` codes (even), along the image's rows or
   its columns, whichever the layer computes along. */
#ifndef TG_DSP_PLANES_H
#define TG_DSP_PLANES_H

#include "dsp/lanes.h"

typedef struct {
    int32_t lines, pitch;    /* of a plane, in codes; pitch is even */
    int32_t before;          /* padding before the first code of a line */
    int32_t line, size;      /* lines of the image, codes of a line that are read */
    int32_t line_step, step; /* in the image, in elements */
    int32_t zero_point;
} tg_planes;

/* `codes` codes, an even number, from an aligned place on. */
TG_INLINE void tg_planes_fill(const tg_planes *p, int16_t *plane, int32_t codes)
{
    const uint32_t pair = ((uint32_t)p->zero_point & 0xFFFFu) * 0x00010001u;
    for (int32_t i = 0; i < codes; i += 2) {
        tg_lane_store(plane + i, pair);
    }
}

/* Four channels of one code. */
TG_INLINE void tg_planes_put_4(const int8_t *from, int16_t *to, int32_t plane)
{
    to[0] = from[0];
    to[plane] = from[1];
    to[2 * plane] = from[2];
    to[3 * plane] = from[3];
}

/* Four channels of two neighbours on a line: a word for each plane. */
TG_INLINE void tg_planes_pair(const int8_t *from, int32_t step, uint32_t words[4])
{
    const uint32_t x = tg_lane_load(from);
    const uint32_t y = tg_lane_load(from + step);
    const uint32_t first = tg_lane_low_low(x, y);
    const uint32_t last = tg_lane_high_high(x, y);
    words[0] = tg_lane_even(first);
    words[1] = tg_lane_odd(first);
    words[2] = tg_lane_even(last);
    words[3] = tg_lane_odd(last);
}

/* Line `from` of the image, four channels, to the same line of four planes. */
TG_INLINE void tg_planes_line_4(const tg_planes *p, const int8_t *from, int16_t *to)
{
    const int32_t plane = p->lines * p->pitch;
    int32_t i = 0;
    to += p->before;
    if (p->before & 1) { /* words are aligned in the plane */
        tg_planes_put_4(from, to, plane);
        from += p->step;
        to++;
        i = 1;
    }
    for (; i + 2 <= p->size; i += 2) {
        uint32_t words[4];
        tg_planes_pair(from, p->step, words);
#pragma GCC unroll 4
        for (int32_t k = 0; k < 4; k++) {
            tg_lane_store(to + k * plane, words[k]);
        }
        from += 2 * p->step;
        to += 2;
    }
    if (i < p->size) {
        tg_planes_put_4(from, to, plane);
    }
}

TG_INLINE void tg_planes_line_1(const tg_planes *p, const int8_t *from, int16_t *to)
{
    to += p->before;
    for (int32_t i = 0; i < p->size; i++) {
        to[i] = from[i * p->step];
    }
}

/* Fills `channels` (1 to 4) planes with the lines of the image from `first` on, as far as there are any;
   what lies outside the image is left as it is. */
TG_INLINE void tg_planes_split(const tg_planes *p, const int8_t *image, int32_t channels, int32_t first,
                               int16_t *planes)
{
    const int32_t start = first < 0 ? -first : 0;
    const int32_t end = p->line - first < p->lines ? p->line - first : p->lines;
    const int8_t *from = image + (first + start) * p->line_step;
    int16_t *to = planes + start * p->pitch;
    for (int32_t line = start; line < end; line++) {
        if (channels == 4) {
            tg_planes_line_4(p, from, to);
        } else {
            for (int32_t c = 0; c < channels; c++) {
                tg_planes_line_1(p, from + c, to + c * p->lines * p->pitch);
            }
        }
        from += p->line_step;
        to += p->pitch;
    }
}

#endif
