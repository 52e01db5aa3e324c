/* SPDX-License-Identifier: Apache-2.0 */
/* One to four channels of an NHWC image as planes of 16-bit codes, with the padding written out: what the
   depthwise kernels read. A plane is `lines` lines of `pitch` codes (even), along the image's rows or
   its columns, whichever the layer computes along. */
#ifndef TG_DSP_PLANES_H
#define TG_DSP_PLANES_H

#include "dsp.h"

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
        tg_store_word(plane + i, pair);
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
    const uint32_t x = tg_load_word(from);
    const uint32_t y = tg_load_word(from + step);
    const uint32_t first = tg_low_lanes(x, y);
    const uint32_t last = tg_high_lanes(x, y);
    words[0] = tg_sxtb16(first);
    words[1] = tg_sxtb16_odd(first);
    words[2] = tg_sxtb16(last);
    words[3] = tg_sxtb16_odd(last);
}

#define TG_PLANES_LARGEST_STEP 1023 /* of the offsets in the assembly below */

/* `codes`, a multiple of 4 above 0, of a line to four planes: 1.5 instructions per code. `step` is
   constant. */
TG_INLINE void tg_planes_run_4(const int8_t *from, int32_t step, int32_t codes, int16_t *to, int32_t plane)
{
#if TG_DSP_ASSEMBLY
    const int8_t *end = from + codes * step;
    int16_t *to_1 = to + plane;
    int16_t *to_2 = to_1 + plane;
    int16_t *to_3 = to_2 + plane;
    uint32_t a, b, c, d, x, y, z;
    __asm__ volatile("1:\n\t"
                     "ldr %[a], [%[from]]\n\t"
                     "ldr %[d], [%[from], %[step]]\n\t"
                     "ldr %[x], [%[from], %[step_2]]\n\t"
                     "ldr %[y], [%[from], %[step_3]]\n\t"
                     "pkhbt %[b], %[a], %[d], lsl #16\n\t"
                     "pkhtb %[d], %[d], %[a], asr #16\n\t"
                     "pkhbt %[z], %[x], %[y], lsl #16\n\t"
                     "pkhtb %[y], %[y], %[x], asr #16\n\t"
                     "sxtb16 %[a], %[b]\n\t"
                     "sxtb16 %[b], %[b], ror #8\n\t"
                     "sxtb16 %[c], %[d]\n\t"
                     "sxtb16 %[d], %[d], ror #8\n\t"
                     "sxtb16 %[x], %[z]\n\t"
                     "strd %[a], %[x], [%[to]], #8\n\t"
                     "sxtb16 %[x], %[z], ror #8\n\t"
                     "strd %[b], %[x], [%[to_1]], #8\n\t"
                     "sxtb16 %[x], %[y]\n\t"
                     "strd %[c], %[x], [%[to_2]], #8\n\t"
                     "sxtb16 %[x], %[y], ror #8\n\t"
                     "strd %[d], %[x], [%[to_3]], #8\n\t"
                     "addw %[from], %[from], %[step_4]\n\t"
                     "cmp %[from], %[end]\n\t"
                     "bne 1b\n\t"
                     : [from] "+r"(from), [to] "+r"(to), [to_1] "+r"(to_1), [to_2] "+r"(to_2),
                       [to_3] "+r"(to_3), [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d),
                       [x] "=&r"(x), [y] "=&r"(y), [z] "=&r"(z)
                     : [end] "r"(end), [step] "i"(step), [step_2] "i"(2 * step), [step_3] "i"(3 * step),
                       [step_4] "i"(4 * step)
                     : "cc", "memory");
#else
    for (int32_t i = 0; i < codes; i += 2) {
        uint32_t words[4];
        tg_planes_pair(from + i * step, step, words);
        for (int32_t k = 0; k < 4; k++) {
            tg_store_word(to + k * plane + i, words[k]);
        }
    }
#endif
}

/* Four channels of a line of the image to a line of four planes. `fixed`: all of `p` is constant. */
TG_INLINE void tg_planes_line_4(const tg_planes *p, const int8_t *from, int16_t *to, int32_t fixed)
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
    if (fixed && p->step <= TG_PLANES_LARGEST_STEP && p->size - i >= 4) {
        const int32_t run = (p->size - i) / 4 * 4;
        tg_planes_run_4(from, p->step, run, to, plane);
        from += run * p->step;
        to += run;
        i += run;
    }
    for (; i + 2 <= p->size; i += 2) {
        uint32_t words[4];
        tg_planes_pair(from, p->step, words);
#pragma GCC unroll 4
        for (int32_t k = 0; k < 4; k++) {
            tg_store_word(to + k * plane, words[k]);
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
                               int16_t *planes, int32_t fixed)
{
    const int32_t start = first < 0 ? -first : 0;
    const int32_t end = p->line - first < p->lines ? p->line - first : p->lines;
    const int8_t *from = image + (first + start) * p->line_step;
    int16_t *to = planes + start * p->pitch;
    for (int32_t line = start; line < end; line++) {
        if (channels == 4) {
            tg_planes_line_4(p, from, to, fixed);
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
