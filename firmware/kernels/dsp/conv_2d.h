/* SPDX-License-Identifier: Apache-2.0 */
/* CONV_2D, int8, on the SMLAD family: tiles of the input widened to 16 bits, the weights of two channels
   widened once per tile, and a printed register block that runs along the rows. */
#ifndef TG_DSP_CONV_2D_H
#define TG_DSP_CONV_2D_H

#include "dsp/conv_block.h"

typedef struct {
    int32_t batches;
    int32_t input_height, input_width, input_channels;
    int32_t output_height, output_width, output_channels;
    int32_t kernel_height, kernel_width; /* what a window covers, dilation of rows included */
    int32_t stride_height, stride_width; /* of columns: times the phases */
    int32_t pad_top, pad_left;
    int32_t input_offset;               /* minus the input's zero point */
    int32_t phases;                     /* dilated columns: every so many make an image of its own */
    int32_t tile_height, tile_width;    /* output pixels of a tile */
    int32_t whole_lines;                /* a tile is as wide as the output, or as a phase of it */
    int32_t row_step, column_step;      /* in the tile, from window to window: the stride, or 1 for 1x1 */
    int32_t channels;                   /* of a pixel in the tile: those of the input, padded to even */
    int32_t pitch;                      /* of a line of the tile, in codes */
    int32_t quads;                      /* codes 0 2 1 3: the input's channels are a multiple of 4 */
    int32_t narrow_words, wide_words;   /* weights of two channels in flash, widened */
    int32_t parameter_words;            /* of requantization, both channels */
} tg_dsp_conv_2d_shape;

typedef void tg_conv_row(const tg_conv_block *block, const int16_t *patches, const uint32_t *weights,
                         int8_t *output, int32_t pixels);

TG_INLINE void tg_dsp_conv_2d_codes(const tg_dsp_conv_2d_shape *s, const int8_t *from, int32_t pixels,
                                    int16_t *to)
{
    if (s->quads) {
        tg_conv_widen_quads(from, pixels * s->input_channels, s->input_offset, to);
    } else if (s->channels == s->input_channels) {
        tg_conv_widen(from, pixels * s->input_channels, s->input_offset, to);
    } else {
        for (int32_t i = 0; i < pixels; i++, from += s->input_channels, to += s->channels) {
            if (s->input_channels >= 8) {
                tg_conv_widen(from, s->input_channels, s->input_offset, to);
            } else {
                for (int32_t c = 0; c < s->input_channels; c++) {
                    to[c] = (int16_t)(from[c] + s->input_offset);
                }
            }
            to[s->input_channels] = 0;
        }
    }
}

/* One line of the tile from input line `y`, for `columns` outputs from column `x` of a phase. */
TG_INLINE void tg_dsp_conv_2d_line(const tg_dsp_conv_2d_shape *s, const int8_t *image, int32_t y, int32_t x,
                                   int32_t phase, int32_t columns, int16_t *line)
{
    const int32_t start = phase + x * s->stride_width - s->pad_left;
    if (y < 0 || y >= s->input_height) {
        tg_conv_zero(line, s->pitch);
        return;
    }
    const int8_t *from = image + y * s->input_width * s->input_channels;
    if (s->column_step != s->stride_width) {
        for (int32_t i = 0; i < columns + s->kernel_width - 1; i++, line += s->channels) {
            const int32_t column = start + i * s->stride_width;
            if (column < 0 || column >= s->input_width) {
                tg_conv_zero(line, s->channels);
            } else {
                tg_dsp_conv_2d_codes(s, from + column * s->input_channels, 1, line);
            }
        }
        return;
    }
    const int32_t end = start + (columns - 1) * s->stride_width + s->kernel_width;
    const int32_t first = start < 0 ? 0 : start;
    const int32_t last = end > s->input_width ? s->input_width : end;
    if (last <= first) {
        tg_conv_zero(line, s->pitch);
        return;
    }
    const int32_t left = (first - start) * s->channels;
    const int32_t right = (end - last) * s->channels;
    tg_conv_zero(line, left);
    tg_dsp_conv_2d_codes(s, from + first * s->input_channels, last - first, line + left);
    tg_conv_zero(line + left + (last - first) * s->channels, right);
}

/* Lines that the tile above has already are moved, not read again: the output may lie on them by now. */
TG_INLINE void tg_dsp_conv_2d_tile(const tg_dsp_conv_2d_shape *s, const int8_t *image, int32_t y, int32_t x,
                                   int32_t phase, int32_t rows, int32_t columns, int16_t *codes)
{
    const int32_t compact = s->row_step != s->stride_height;
    const int32_t lines = compact ? rows : (rows - 1) * s->stride_height + s->kernel_height;
    int32_t i = 0;
    if (y > 0 && !compact && s->whole_lines && s->kernel_height > s->stride_height) {
        i = s->kernel_height - s->stride_height;
        tg_conv_move_down(codes + s->tile_height * s->stride_height * s->pitch, i * s->pitch, codes);
    }
    for (; i < lines; i++) {
        const int32_t line = y * s->stride_height - s->pad_top + (compact ? i * s->stride_height : i);
        tg_dsp_conv_2d_line(s, image, line, x, phase, columns, codes + i * s->pitch);
    }
}

/* Two channels' record for the block, from flash: sums to start from, parameters, narrow weights. */
TG_INLINE void tg_dsp_conv_2d_record(const tg_dsp_conv_2d_shape *s, const uint32_t *flash, uint32_t *record)
{
    record[0] = flash[0];
    record[1] = flash[1];
    tg_conv_widen_weights(flash + 2 + s->parameter_words, s->narrow_words, record + 2);
    for (int32_t i = 0; i < s->parameter_words; i++) {
        record[2 + s->wide_words + i] = flash[2 + i];
    }
}

/* Tile by tile; the output's columns of a phase lie `phases` apart. */
TG_INLINE void tg_dsp_conv_2d_phase(const tg_dsp_conv_2d_shape *s, const tg_conv_block *block,
                                    tg_conv_row *row, const int8_t *input, int32_t phase,
                                    const uint32_t *weights, int8_t *output, uint32_t *record, int16_t *codes)
{
    const int32_t channels = s->output_channels;
    const int32_t width = (s->output_width - phase + s->phases - 1) / s->phases;
    for (int32_t y = 0; y < s->output_height; y += s->tile_height) {
        const int32_t left = s->output_height - y;
        const int32_t rows = left < s->tile_height ? left : s->tile_height;
        for (int32_t x = 0; x < width; x += s->tile_width) {
            const int32_t beside = width - x;
            const int32_t columns = beside < s->tile_width ? beside : s->tile_width;
            tg_dsp_conv_2d_tile(s, input, y, x, phase, rows, columns, codes);
            int8_t *corner = output + (y * s->output_width + x * s->phases) * channels;
            const uint32_t *flash = weights;
            for (int32_t c = 0; c < channels; c += 2) {
                int8_t *to = corner + (c + 2 <= channels || c == 0 ? c : c - 1);
                tg_dsp_conv_2d_record(s, flash, record);
                for (int32_t r = 0; r < rows; r++) {
                    row(block, codes + r * s->row_step * s->pitch, record,
                        to + r * s->output_width * channels, columns);
                }
                flash += 2 + s->parameter_words + s->narrow_words;
            }
        }
    }
}

/* Scratch: a record (2 + wide_words + parameter_words words), then the tile's lines. */
TG_INLINE void tg_dsp_conv_2d(const tg_dsp_conv_2d_shape *s, const tg_conv_block *block, tg_conv_row *row,
                              const int8_t *input, const uint32_t *weights, int8_t *output, void *scratch)
{
    uint32_t *record = (uint32_t *)scratch;
    int16_t *codes = (int16_t *)(void *)(record + 2 + s->wide_words + s->parameter_words);
    const int32_t channels = s->output_channels;
    for (int32_t batch = 0; batch < s->batches; batch++) {
        for (int32_t phase = 0; phase < s->phases; phase++) {
            tg_dsp_conv_2d_phase(s, block, row, input, phase, weights, output + phase * channels, record,
                                 codes);
        }
        input += s->input_height * s->input_width * s->input_channels;
        output += s->output_height * s->output_width * channels;
    }
}

/* The same as one function for all layers that take their parameters as they run. */
static __attribute__((noinline, unused)) void tg_dsp_conv_2d_shared(const tg_dsp_conv_2d_shape *s,
                                                                    const tg_conv_block *block,
                                                                    tg_conv_row *row, const int8_t *input,
                                                                    const uint32_t *weights, int8_t *output,
                                                                    void *scratch)
{
    tg_dsp_conv_2d(s, block, row, input, weights, output, scratch);
}

#endif
