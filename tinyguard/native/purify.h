/* SPDX-License-Identifier: Apache-2.0 */
/* Pixel Defend, pixel by pixel: what `defenses/pixel_defend.py` and `pixel_choice.py` do, bit for bit. */
#ifndef TG_PURIFY_H
#define TG_PURIFY_H

#include <stddef.h>
#include <stdint.h>

enum { COLUMNS = 8 };

/* A masked convolution. `weights` (taps, inputs, outputs) and `bias`, outputs a multiple of COLUMNS; `taps`
 * are pairs (down, across). `seen`: its inputs at all pixels so far, (rows, columns, lanes, inputs) with zeros
 * around them; null in a layer that sees its own pixel alone. */
struct layer {
    const double *weights, *bias;
    const int32_t *taps;
    double *seen;
    int32_t tap_count, inputs, outputs, reach;
};

/* `layers`: the first, a wide and a narrow one for each block, the last. `wide` and `narrow`, (lanes, the most
 * outputs), are scratch as `hidden` is. */
struct pixel_cnn {
    const struct layer *layers;
    double *hidden, *wide, *narrow;
    int32_t layer_count, height, width, channels, mixtures;
    double activation_steps, largest_activation, least_log_scale;
};

/* Purified int8 codes (images, height, width, channels), by vectors of 8, 4 and 2 lanes. */
typedef void purify(const struct pixel_cnn *network, const int8_t *codes, int8_t *purified, size_t images,
                    int32_t eps_codes);

purify tg_purify_8, tg_purify_4, tg_purify_2;

#endif
