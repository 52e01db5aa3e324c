/* SPDX-License-Identifier: Apache-2.0 */
/* FILTER_TOTAL_VARIATION, two elements in the lanes of a word: see filter_total_variation.h. */
#ifndef TG_DSP_TOTAL_VARIATION_H
#define TG_DSP_TOTAL_VARIATION_H

#include "dsp.h"
#include "filter_total_variation.h"

#define TG_TV_HALF_STEP ((1u << (TG_TV_STEP - 1)) * 0x00010001u)

/* Elements i and i + 1; `wanted` are the input's in 1/64 code plus half a step. The flows are written before
   those of the left neighbours are read, which for one channel are among them. */
TG_INLINE void tg_tv_step_2(const tg_total_variation_shape *s, tg_tv_row row, uint32_t wanted, int32_t i)
{
    const uint32_t u = tg_load_word(row.u + i);
    const int32_t bits = s->width_bits + 1;
    const uint32_t across = tg_ssat16(tg_ssub16(tg_load_word(row.u + i + s->channels), u), bits);
    const uint32_t down = tg_ssat16(tg_ssub16(tg_load_word(row.below + i), u), bits);
    uint32_t move = tg_sadd16(tg_ssub16(wanted, u), tg_sadd16(across, down));

    tg_store_word(row.across + i + s->channels, across);
    move = tg_ssub16(move, tg_load_word(row.across + i));
    move = tg_ssub16(move, tg_load_word(row.down + i));
    tg_store_word(row.down + i, down);
    for (int32_t k = 0; k < TG_TV_STEP; k++) {
        move = tg_shadd16(move, 0);
    }
    tg_store_word(row.u + i, tg_sadd16(u, move));
}

TG_INLINE void tg_dsp_tv_step(const tg_total_variation_shape *s, tg_tv_row row)
{
    const int32_t count = s->width * s->channels;
    int32_t i = 0;
    for (; i + 4 <= count; i += 4) {
        const uint32_t codes = tg_load_word(row.input + i) ^ 0x80808080u; /* code + 128 */
        const uint32_t even = tg_uxtb16(codes);
        const uint32_t odd = tg_uxtb16_odd(codes);
        tg_tv_step_2(s, row, (tg_low_lanes(even, odd) << TG_TV_FRACTION) + TG_TV_HALF_STEP, i);
        tg_tv_step_2(s, row, (tg_high_lanes(even, odd) << TG_TV_FRACTION) + TG_TV_HALF_STEP, i + 2);
    }
    for (; i < count; i++) {
        tg_tv_step_at(s, row, i);
    }
}

TG_INLINE void tg_dsp_filter_total_variation(const tg_total_variation_shape *s, const int8_t *input,
                                             void *scratch, int8_t *output)
{
    tg_tv_descend(s, input, scratch, output, tg_dsp_tv_step);
}

#endif
