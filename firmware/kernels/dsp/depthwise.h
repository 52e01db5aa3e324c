/* SPDX-License-Identifier: Apache-2.0 */
/* DEPTHWISE_CONV_2D on int8 codes from planes of 16-bit codes, for any window: 3x3 in assembly, the others
   four outputs per step. Zero points are in the bias; weights are pairs of 16 bits.
   See tinyguard/kernels/dsp/depthwise.py for the records. */
#ifndef TG_DSP_DEPTHWISE_H
#define TG_DSP_DEPTHWISE_H

#include "dot.h"
#include "dsp/depthwise_3x3.h"
#include "dsp/planes.h"

typedef struct {
    int32_t batches, input_elements, output_elements; /* elements of one image */
    int32_t channels, multiplier;
    int32_t lines, band;             /* lines of outputs: all, and of one filling of the planes */
    int32_t stride, before;          /* across the lines */
    int32_t kernel, dilation, pairs; /* rows of the kernel, lines between them, words of weights per row */
    int32_t square;                  /* 1: tg_depthwise_3x3_s8 */
    int32_t exact;                   /* 1: tg_requantize */
    int32_t output_offset, low, high;
    int32_t words;              /* of a channel's record */
    int32_t taps, tap_dilation; /* of a row of the kernel, codes between them */
    int32_t tap_step, row_step; /* in the weights, in elements */
} tg_depthwise_layer;

/* A layer's parameters: records made at generation, or the layer and what to make a record of. `weights` are
   (row, column, output channel); the bias has the input's zero point in it; shifts are to the left. */
typedef struct {
    const int32_t *records;
    const tg_depthwise_layer *layer;
    const int8_t *weights;
    const int32_t *bias, *multipliers;
    const int8_t *shifts;
} tg_depthwise_parameters;

/* sums[k] += the window's products for `outputs` (1 to 4) neighbours on a line. */
TG_INLINE void tg_depthwise_sum(const tg_depthwise_layer *s, const tg_depthwise_3x3 *w,
                                const int32_t *weights, const int16_t *codes, int32_t outputs,
                                int32_t sums[4])
{
    for (int32_t row = 0; row < s->kernel; row++) {
#pragma GCC unroll 8
        for (int32_t pair = 0; pair < s->pairs; pair++) {
            const uint32_t taps = (uint32_t)weights[pair];
            const int16_t *from = codes + 2 * pair;
#pragma GCC unroll 4
            for (int32_t k = 0; k < outputs; k++) {
                sums[k] = tg_smlad(tg_load_word(from + k * w->stride), taps, sums[k]);
            }
        }
        weights += s->pairs;
        codes += s->dilation * w->pitch;
    }
}

/* The same without unrolling, for any shape at run time. */
TG_INLINE void tg_depthwise_sum_shared(const tg_depthwise_layer *s, const tg_depthwise_3x3 *w,
                                       const int32_t *weights, const int16_t *codes, int32_t outputs,
                                       int32_t sums[4])
{
    const int32_t advance = s->dilation * w->pitch - 2 * s->pairs;
    const int32_t step = outputs == 4 ? w->stride : 0;
    for (int32_t row = 0; row < s->kernel; row++) {
        const int32_t *end = weights + s->pairs;
        const int16_t *second = codes + step;
        const int16_t *third = second + step;
        const int16_t *fourth = third + step;
#pragma GCC unroll 1
        do {
            const uint32_t taps = (uint32_t)*weights++;
            sums[0] = tg_smlad(tg_load_word(codes), taps, sums[0]);
            codes += 2;
            if (outputs == 4) {
                sums[1] = tg_smlad(tg_load_word(second), taps, sums[1]);
                sums[2] = tg_smlad(tg_load_word(third), taps, sums[2]);
                sums[3] = tg_smlad(tg_load_word(fourth), taps, sums[3]);
                second += 2;
                third += 2;
                fourth += 2;
            }
        } while (weights != end);
        codes += advance;
    }
}

/* A record here: bias, multiplier, round, shift, then the words of weights row by row. Without `exact`
   nothing is doubled and `round` is not used. */
TG_INLINE void tg_depthwise_outputs(const tg_depthwise_layer *s, const tg_depthwise_3x3 *w,
                                    const int32_t *record, const int16_t *codes, int32_t outputs,
                                    int32_t shared, int8_t *output)
{
    int32_t sums[4] = {record[0], record[0], record[0], record[0]};
    if (shared) {
        tg_depthwise_sum_shared(s, w, record + 4, codes, outputs, sums);
    } else {
        tg_depthwise_sum(s, w, record + 4, codes, outputs, sums);
    }
#pragma GCC unroll 4
    for (int32_t k = 0; k < outputs; k++) {
        if (s->exact) {
            *output = tg_requantize(sums[k], record[1], record[2], record[3]);
        } else {
            *output = tg_requantize_s8(sums[k], record[1], record[3], s->output_offset, s->low, s->high);
        }
        output += w->step;
    }
}

TG_INLINE void tg_depthwise_any_s8(const tg_depthwise_layer *s, const tg_depthwise_3x3 *w,
                                   const int32_t *record, const int16_t *plane, int32_t lines,
                                   int32_t shared, int8_t *output)
{
    for (int32_t line = 0; line < lines; line++) {
        int32_t k = 0;
        for (; k + 4 <= w->outputs; k += 4) {
            tg_depthwise_outputs(s, w, record, plane + k * w->stride, 4, shared,
                                 output + k * w->step);
        }
        for (; k < w->outputs; k++) {
            tg_depthwise_outputs(s, w, record, plane + k * w->stride, 1, shared,
                                 output + k * w->step);
        }
        plane += w->line_advance;
        output += w->line_step;
    }
}

/* One copy for all layers, and no copies made for constants. */
#if defined(__clang__)
#define TG_SHARED static __attribute__((noinline, unused))
#else
#define TG_SHARED static __attribute__((noinline, noclone, unused))
#endif

TG_INLINE int32_t tg_depthwise_taps(int32_t low, int32_t high)
{
    return (int32_t)(((uint32_t)low & 0xFFFFu) | ((uint32_t)high << 16));
}

/* Doubled taps of the 3x3 assembly for a stride; words written. */
TG_INLINE int32_t tg_depthwise_square(const tg_depthwise_layer *s, int32_t stride, const int8_t *weights,
                                      int32_t *record)
{
    int32_t last[3];
    for (int32_t row = 0; row < 3; row++) {
        const int32_t first = weights[0] * 2;
        const int32_t second = weights[s->tap_step] * 2;
        last[row] = weights[2 * s->tap_step] * 2;
        *record++ = tg_depthwise_taps(first, second);
        if (stride == 1) {
            *record++ = tg_depthwise_taps(second, last[row]);
        }
        weights += s->row_step;
    }
    if (stride == 1) {
        return 6;
    }
    record[0] = tg_depthwise_taps(last[0], last[1]);
    record[1] = tg_depthwise_taps(last[2], 0);
    return 5;
}

/* Doubled taps of any window, a row's padded with zeros to `pairs` words. */
TG_INLINE void tg_depthwise_any(const tg_depthwise_layer *s, const int8_t *weights, int32_t *words)
{
    for (int32_t row = 0; row < s->kernel; row++) {
        for (int32_t pair = 0; pair < s->pairs; pair++) {
            words[pair] = 0;
        }
        for (int32_t tap = 0; tap < s->taps; tap++) {
            const int32_t at = tap * s->tap_dilation;
            const int32_t value = weights[tap * s->tap_step] * 2;
            words[at / 2] |= at % 2 ? tg_depthwise_taps(0, value) : tg_depthwise_taps(value, 0);
        }
        weights += s->row_step;
        words += s->pairs;
    }
}

/* The record of a channel made at run time, where flash is dearer than time; `exact` only. */
TG_SHARED void tg_depthwise_expand(const tg_depthwise_parameters *p, int32_t stride, int32_t channel,
                                   int32_t *record)
{
    const tg_depthwise_layer *s = p->layer;
    const int8_t *weights = p->weights + channel;
    int32_t *scale = s->square ? record + tg_depthwise_square(s, stride, weights, record) : record;
    const int32_t right = -p->shifts[channel];
    scale[0] = p->bias[channel] * 2;
    scale[1] = p->multipliers[channel];
    scale[2] = (1 << (right - 1)) + s->output_offset * (1 << right);
    scale[3] = right;
    if (!s->square) {
        tg_depthwise_any(s, weights, record + 4);
    }
}

/* `lines` lines of outputs of a group of 1 to 4 input channels, from output channel `first` on. With
   `shared` the records are made in `made`. */
TG_INLINE void tg_depthwise_group(const tg_depthwise_layer *s, const tg_planes *p, const tg_depthwise_3x3 *w,
                                  const tg_depthwise_parameters *parameters, int32_t first,
                                  const int16_t *plane, int32_t channels, int32_t lines, int32_t *made,
                                  int32_t shared, int8_t *output)
{
    for (int32_t c = 0; c < channels; c++) {
        for (int32_t k = 0; k < s->multiplier; k++) {
            const int32_t *record = made;
            if (shared) {
                tg_depthwise_expand(parameters, w->stride, first, made);
            } else {
                record = parameters->records + first * s->words;
            }
            if (s->square && shared) {
                tg_depthwise_3x3_shared_s8(w, record, plane, lines, output);
            } else if (s->square) {
                tg_depthwise_3x3_s8(w, record, plane, lines, output);
            } else {
                tg_depthwise_any_s8(s, w, record, plane, lines, shared, output);
            }
            first++;
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

TG_SHARED void tg_planes_split_shared(const tg_planes *p, const int8_t *image, int32_t channels,
                                      int32_t first, int16_t *planes)
{
    tg_planes_split(p, image, channels, first, planes, 0);
}

/* The output may be the input where one band holds the image and both have one size: a group's
   codes are in the planes before its outputs are written. After the planes there is room for a record. */
TG_INLINE void tg_depthwise_bands(const tg_depthwise_layer *s, const tg_planes *p, const tg_depthwise_3x3 *w,
                                  const int8_t *input, const tg_depthwise_parameters *parameters,
                                  int32_t shared, int16_t *planes, int8_t *output)
{
    const int32_t four = s->channels < 4 ? s->channels : 4;
    int32_t *made = (int32_t *)(void *)(planes + four * p->lines * p->pitch);
    for (int32_t batch = 0; batch < s->batches; batch++) {
        for (int32_t first = 0; first < s->lines; first += s->band) {
            const int32_t lines = s->lines - first < s->band ? s->lines - first : s->band;
            const int32_t origin = first * s->stride - s->before;
            tg_depthwise_pad(p, four, origin, first == 0, planes);
            for (int32_t c = 0; c < s->channels; c += 4) {
                /* the last group reads some channels again, so that it is one of four too */
                const int32_t base = s->channels - c < four ? s->channels - four : c;
                const int32_t channel = c * s->multiplier;
                if (shared) {
                    tg_planes_split_shared(p, input + base, four, origin, planes);
                } else {
                    tg_planes_split(p, input + base, four, origin, planes, 1);
                }
                tg_depthwise_group(s, p, w, parameters, channel, planes + (c - base) * p->lines * p->pitch,
                                   four - (c - base), lines, made, shared,
                                   output + first * w->line_step + channel);
            }
        }
        if (s->exact && (s->low > INT8_MIN || s->high < INT8_MAX)) {
            tg_clamp_codes(output, s->output_elements, s->low, s->high);
        }
        input += s->input_elements;
        output += s->output_elements;
    }
}

TG_INLINE void tg_depthwise_planes_s8(const tg_depthwise_layer *s, const tg_planes *p,
                                      const tg_depthwise_3x3 *w, const int8_t *input,
                                      const tg_depthwise_parameters *parameters, int16_t *planes,
                                      int8_t *output)
{
    tg_depthwise_bands(s, p, w, input, parameters, 0, planes, output);
}

/* One function each for all layers: 3x3 with stride 1, with stride 2, and any other window. */
#define TG_DEPTHWISE_SHARED(name, is_square, along_stride)                                                  \
    TG_SHARED void name(const tg_depthwise_layer *layer, const tg_planes *p, const tg_depthwise_3x3 *window,\
                        const int8_t *input, const tg_depthwise_parameters *parameters, int16_t *planes,    \
                        int8_t *output)                                                                     \
    {                                                                                                       \
        tg_depthwise_layer s = *layer;                                                                      \
        tg_depthwise_3x3 w = *window;                                                                       \
        s.square = is_square;                                                                               \
        s.exact = 1;                                                                                        \
        if (is_square) {                                                                                    \
            w.stride = along_stride;                                                                        \
        }                                                                                                   \
        tg_depthwise_bands(&s, p, &w, input, parameters, 1, planes, output);                                \
    }

TG_DEPTHWISE_SHARED(tg_depthwise_shared_3x3_1_s8, 1, 1)
TG_DEPTHWISE_SHARED(tg_depthwise_shared_3x3_2_s8, 1, 2)
TG_DEPTHWISE_SHARED(tg_depthwise_shared_any_s8, 0, 0)

#endif
