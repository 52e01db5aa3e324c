/* SPDX-License-Identifier: Apache-2.0 */
/* FILTER_TOTAL_VARIATION: total-variation denoising of int8 codes by gradient descent in 1/64 code.
   The rule and its bounds stand in tinyguard/operators/filter_total_variation.py. */
#ifndef TG_FILTER_TOTAL_VARIATION_H
#define TG_FILTER_TOTAL_VARIATION_H

#include "fixed_point.h"

#define TG_TV_FRACTION 6
#define TG_TV_STEP 3

typedef struct {
    int32_t height;
    int32_t width;
    int32_t channels;
    int32_t iterations;
    int32_t width_bits; /* flows are -2^bits to 2^bits - 1 */
} tg_total_variation_shape;

/* One row: u and the row below, each a pixel longer than the image; `across` are the flows along the row, each
   where the pixel that loses it stands, `down` those from the row above, then those to the row below. */
typedef struct {
    const int8_t *input;
    int16_t *u;
    const int16_t *below;
    int16_t *across;
    int16_t *down;
} tg_tv_row;

typedef void (*tg_tv_step)(const tg_total_variation_shape *s, tg_tv_row row);

TG_INLINE int16_t tg_tv_flow(const tg_total_variation_shape *s, int32_t here, int32_t there)
{
    return (int16_t)tg_clamp(there - here, -(1 << s->width_bits), (1 << s->width_bits) - 1);
}

TG_INLINE void tg_tv_step_at(const tg_total_variation_shape *s, tg_tv_row row, int32_t i)
{
    const int32_t u = row.u[i];
    const int32_t wanted = (row.input[i] + 128) * (1 << TG_TV_FRACTION);
    const int16_t across = tg_tv_flow(s, u, row.u[i + s->channels]);
    const int16_t down = tg_tv_flow(s, u, row.below[i]);
    const int32_t move = across - row.across[i] + down - row.down[i] + wanted - u;

    row.across[i + s->channels] = across;
    row.down[i] = down;
    row.u[i] = (int16_t)(u + ((move + (1 << (TG_TV_STEP - 1))) >> TG_TV_STEP));
}

TG_INLINE void tg_tv_plain_step(const tg_total_variation_shape *s, tg_tv_row row)
{
    for (int32_t i = 0; i < s->width * s->channels; i++) {
        tg_tv_step_at(s, row, i);
    }
}

/* scratch: u in int16 with a pixel more in every row, `across` with a pixel more, `down`. The output may be the
   input. */
TG_INLINE void tg_tv_descend(const tg_total_variation_shape *s, const int8_t *input, void *scratch,
                             int8_t *output, tg_tv_step step)
{
    const int32_t count = s->width * s->channels;
    const int32_t stride = count + s->channels;
    int16_t *const u = scratch;
    int16_t *const across = u + s->height * stride;
    int16_t *const down = across + stride;

    for (int32_t y = 0; y < s->height; y++) {
        for (int32_t i = 0; i < count; i++) {
            u[y * stride + i] = (int16_t)((input[y * count + i] + 128) * (1 << TG_TV_FRACTION));
        }
    }
    for (int32_t c = 0; c < s->channels; c++) {
        across[c] = 0;
    }
    for (int32_t k = 0; k < s->iterations; k++) {
        for (int32_t i = 0; i < count; i++) {
            down[i] = 0;
        }
        for (int32_t y = 0; y < s->height; y++) {
            int16_t *const at = u + y * stride;
            for (int32_t c = 0; c < s->channels; c++) {
                at[count + c] = at[count - s->channels + c];
            }
            step(s, (tg_tv_row){.input = input + y * count,
                                .u = at,
                                .below = y + 1 < s->height ? at + stride : at,
                                .across = across,
                                .down = down});
        }
    }
    for (int32_t y = 0; y < s->height; y++) {
        for (int32_t i = 0; i < count; i++) {
            const int32_t rounded = (u[y * stride + i] + (1 << (TG_TV_FRACTION - 1))) >> TG_TV_FRACTION;
            output[y * count + i] = (int8_t)(rounded - 128);
        }
    }
}

TG_INLINE void tg_filter_total_variation(const tg_total_variation_shape *s, const int8_t *input,
                                         void *scratch, int8_t *output)
{
    tg_tv_descend(s, input, scratch, output, tg_tv_plain_step);
}

#endif
