/* DEPTHWISE_CONV_2D on int8 codes from planes of 16-bit codes, for any window: 3x3 in assembly, the others
   four outputs a step. Zero points are in the bias; weights are pairs of 16 bits.
   See tinyguard/kernels/dsp/depthwise.py for the records. */
#ifndef TG_DSP_DEPTHWISE_H
#define TG_DSP_DEPTHWISE_H

#include "dot.h"
#include "dsp/depthwise_3x3.h"
#include "dsp/planes.h"

typedef struct {
    int32_t batches, input_elements, output_elements; /* elements of one image */
    int32_t channels, multiplier;
    int32_t lines, band;               /* lines of outputs: all, and those that one filling of the planes gives */
    int32_t stride, before;            /* across the lines */
    int32_t kernel, dilation, pairs;   /* rows of the kernel, lines between them, words of weights a row */
    int32_t square;                    /* 1: tg_depthwise_3x3_s8 */
    int32_t exact;                     /* 1: tg_lane_requantize */
    int32_t output_offset, low, high;
    int32_t words;                     /* of a channel's record */
} tg_depthwise_layer;

/* sums[k] += the window's products for `outputs` (1 to 4) neighbours on a line. */
TG_INLINE void tg_depthwise_sum(const tg_depthwise_layer *s, const tg_depthwise_3x3 *w, const int32_t *weights,
                                const int16_t *codes, int32_t outputs, int32_t sums[4])
{
    for (int32_t row = 0; row < s->kernel; row++) {
#pragma GCC unroll 8
        for (int32_t pair = 0; pair < s->pairs; pair++) {
            const uint32_t taps = (uint32_t)weights[pair];
            const int16_t *from = codes + 2 * pair;
#pragma GCC unroll 4
            for (int32_t k = 0; k < outputs; k++) {
                sums[k] = tg_lane_smlad(tg_lane_load(from + k * w->stride), taps, sums[k]);
            }
        }
        weights += s->pairs;
        codes += s->dilation * w->pitch;
    }
}

/* A record here: bias, multiplier, round, shift, then the words of weights row by row. Without `exact`
   nothing is doubled and `round` is not used. */
TG_INLINE void tg_depthwise_outputs(const tg_depthwise_layer *s, const tg_depthwise_3x3 *w,
                                    const int32_t *record, const int16_t *codes, int32_t outputs,
                                    int8_t *output)
{
    int32_t sums[4] = {record[0], record[0], record[0], record[0]};
    tg_depthwise_sum(s, w, record + 4, codes, outputs, sums);
#pragma GCC unroll 4
    for (int32_t k = 0; k < outputs; k++) {
        *output = s->exact ? tg_lane_requantize(sums[k], record[1], record[2], record[3])
                           : tg_requantize_s8(sums[k], record[1], record[3], s->output_offset, s->low, s->high);
        output += w->step;
    }
}

TG_INLINE void tg_depthwise_any_s8(const tg_depthwise_layer *s, const tg_depthwise_3x3 *w,
                                   const int32_t *record, const int16_t *plane, int32_t lines, int8_t *output)
{
    for (int32_t line = 0; line < lines; line++) {
        int32_t k = 0;
        for (; k + 4 <= w->outputs; k += 4) {
            tg_depthwise_outputs(s, w, record, plane + k * w->stride, 4, output + k * w->step);
        }
        for (; k < w->outputs; k++) {
            tg_depthwise_outputs(s, w, record, plane + k * w->stride, 1, output + k * w->step);
        }
        plane += w->line_advance;
        output += w->line_step;
    }
}

/* `lines` lines of outputs of a group of 1 to 4 input channels. */
TG_INLINE void tg_depthwise_group(const tg_depthwise_layer *s, const tg_planes *p, const tg_depthwise_3x3 *w,
                                  const int32_t *record, const int16_t *plane, int32_t channels, int32_t lines,
                                  int8_t *output)
{
    for (int32_t c = 0; c < channels; c++) {
        for (int32_t k = 0; k < s->multiplier; k++) {
            if (s->square) {
                tg_depthwise_3x3_s8(w, record, plane, lines, output);
            } else {
                tg_depthwise_any_s8(s, w, record, plane, lines, output);
            }
            record += s->words;
            output++;
        }
        plane += p->lines * p->pitch;
    }
}

/* Padding of the planes of a band whose first line is line `origin` of the image. Neighbouring bands write
   the same lines of the planes, so that only the first and the last one have any to fill. */
TG_INLINE void tg_depthwise_pad(const tg_planes *p, int32_t planes, int32_t origin, int32_t first,
                                int16_t *plane)
{
    const int32_t size = p->lines * p->pitch;
    const int32_t there = p->line - origin;
    if (first) {
        tg_planes_fill(p, plane, planes * size);
    } else if (there < p->lines) {
        for (int32_t k = 0; k < planes; k++) {
            tg_planes_fill(p, plane + k * size + there * p->pitch, (p->lines - there) * p->pitch);
        }
    }
}

/* The output may be the input where one band holds the image and both have one size: a group's
   codes are in the planes before its outputs are written. */
TG_INLINE void tg_depthwise_planes_s8(const tg_depthwise_layer *s, const tg_planes *p,
                                      const tg_depthwise_3x3 *w, const int8_t *input, const int32_t *records,
                                      int16_t *planes, int8_t *output)
{
    for (int32_t batch = 0; batch < s->batches; batch++) {
        for (int32_t first = 0; first < s->lines; first += s->band) {
            const int32_t lines = s->lines - first < s->band ? s->lines - first : s->band;
            const int32_t origin = first * s->stride - s->before;
            tg_depthwise_pad(p, s->channels < 4 ? s->channels : 4, origin, first == 0, planes);
            for (int32_t c = 0; c < s->channels; c += 4) {
                const int32_t left = s->channels % 4 == 0 ? 4 : s->channels - c; /* constant mostly */
                const int32_t group = left < 4 ? left : 4;
                tg_planes_split(p, input + c, group, origin, planes);
                tg_depthwise_group(s, p, w, records + c * s->multiplier * s->words, planes, group, lines,
                                   output + first * w->line_step + c * s->multiplier);
            }
        }
        if (s->exact && (s->low > INT8_MIN || s->high < INT8_MAX)) {
            tg_lane_clamp(output, s->output_elements, s->low, s->high);
        }
        input += s->input_elements;
        output += s->output_elements;
    }
}

#endif
