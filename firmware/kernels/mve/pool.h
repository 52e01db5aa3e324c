/* SPDX-License-Identifier: Apache-2.0 */
/* AVERAGE_POOL_2D, MAX_POOL_2D and MEAN on int8 codes, lanes along the channels. */
#ifndef TG_MVE_POOL_H
#define TG_MVE_POOL_H

#include "mve/requantize.h"
#include "pool_2d.h"
#include "reduction.h"

TG_INLINE void tg_mve_max_pool_2d_s8(const tg_pool_2d_shape *s, const int8_t *input, int8_t *output)
{
    const int32_t image = s->input_height * s->input_width * s->channels;
    for (int32_t pixel = 0; pixel < s->batches * s->output_height * s->output_width; pixel++) {
        const int32_t row = pixel / s->output_width % s->output_height;
        const tg_pool_window w = tg_pool_window_at(s, row, pixel % s->output_width);
        const int8_t *in = input + pixel / (s->output_height * s->output_width) * image;
        for (int32_t c = 0; c < s->channels; c += 16) {
            const mve_pred16_t lanes = vctp8q((uint32_t)(s->channels - c));
            int8x16_t largest = vdupq_n_s8((int8_t)s->low);
            for (int32_t y = w.first_row; y < w.last_row; y++) {
                const int8_t *from = in + (y * s->input_width + w.first_column) * s->channels + c;
                for (int32_t x = w.first_column; x < w.last_column; x++) {
                    largest = vmaxq_s8(largest, vldrbq_z_s8(from, lanes));
                    from += s->channels;
                }
            }
            vstrbq_p_s8(output + c, vminq_s8(largest, vdupq_n_s8((int8_t)s->high)), lanes);
        }
        output += s->channels;
    }
}

/* Adds `count` codes that lie `step` bytes apart, for four channels each; `lanes` of them are there. */
TG_INLINE int32x4_t tg_mve_sum_some(const int8_t *from, int32_t count, int32_t step, int32x4_t sum,
                                    mve_pred16_t lanes)
{
    for (int32_t k = 0; k < count; k++) {
        sum = vaddq_s32(sum, vldrbq_z_s32(from, lanes));
        from += step;
    }
    return sum;
}

/* sum / count to nearest, ties away from zero; the reciprocal is 2^32 / count rounded up. */
TG_INLINE int32x4_t tg_mve_average(int32x4_t sum, int32_t count, uint32_t reciprocal)
{
    if (count == 1) {
        return sum;
    }
    const int32x4_t sign = vshrq_n_s32(sum, 31);
    const uint32x4_t size = vaddq_n_u32(vreinterpretq_u32_s32(vabsq_s32(sum)), (uint32_t)count / 2);
    const int32x4_t mean = vreinterpretq_s32_u32(vmulhq_u32(size, vdupq_n_u32(reciprocal)));
    return vsubq_s32(veorq_s32(mean, sign), sign);
}

/* Windows of at most 4096 codes, for which the reciprocal is exact. */
TG_INLINE void tg_mve_average_pool_2d_s8(const tg_pool_2d_shape *s, const int8_t *input, int8_t *output)
{
    const int32_t line = s->input_width * s->channels;
    for (int32_t pixel = 0; pixel < s->batches * s->output_height * s->output_width; pixel++) {
        const int32_t row = pixel / s->output_width % s->output_height;
        const tg_pool_window w = tg_pool_window_at(s, row, pixel % s->output_width);
        const int32_t columns = w.last_column - w.first_column;
        const int32_t count = (w.last_row - w.first_row) * columns;
        const uint32_t reciprocal = count > 1 ? UINT32_MAX / (uint32_t)count + 1 : 0;
        const int8_t *in = input + pixel / (s->output_height * s->output_width) * s->input_height * line;
        in += w.first_row * line + w.first_column * s->channels;
        int32_t c = 0;
        for (; c + 16 <= s->channels; c += 16) {
            int32x4_t a = vdupq_n_s32(0), b = a, d = a, e = a;
            for (int32_t y = 0; y < w.last_row - w.first_row; y++) {
                const int8_t *from = in + y * line + c;
                for (int32_t k = 0; k < columns; k++) {
                    a = vaddq_s32(a, vldrbq_s32(from));
                    b = vaddq_s32(b, vldrbq_s32(from + 4));
                    d = vaddq_s32(d, vldrbq_s32(from + 8));
                    e = vaddq_s32(e, vldrbq_s32(from + 12));
                    from += s->channels;
                }
            }
            a = tg_mve_average(a, count, reciprocal);
            b = tg_mve_average(b, count, reciprocal);
            d = tg_mve_average(d, count, reciprocal);
            e = tg_mve_average(e, count, reciprocal);
            tg_mve_store_16(output + c, a, b, d, e, 0, s->low, s->high);
        }
        for (; c < s->channels; c += 4) {
            int32x4_t sum = vdupq_n_s32(0);
            for (int32_t y = 0; y < w.last_row - w.first_row; y++) {
                sum = tg_mve_sum_some(in + y * line + c, columns, s->channels, sum,
                                      vctp32q((uint32_t)(s->channels - c)));
            }
            tg_mve_store_some(output + c, tg_mve_average(sum, count, reciprocal), s->channels - c, 0, s->low,
                              s->high);
        }
        output += s->channels;
    }
}

/* Where round `i` of the two outer reduced loops begins. */
TG_INLINE int32_t tg_mve_outer_place(const tg_reduction_shape *s, int32_t i)
{
    return i / s->reduced[1] * s->reduced_stride[0] + i % s->reduced[1] * s->reduced_stride[1];
}

/* The innermost kept axis lies in one run: the lanes. */
TG_INLINE void tg_mve_mean_s8(const tg_reduction_shape *s, const int8_t *input, int8_t *output)
{
    for (int32_t kept = 0; kept < s->kept[0] * s->kept[1]; kept++) {
        const int8_t *in = input + kept / s->kept[1] * s->kept_stride[0];
        in += kept % s->kept[1] * s->kept_stride[1];
        const int32_t outer = s->reduced[0] * s->reduced[1];
        int32_t c = 0;
        for (; c + 16 <= s->kept[2]; c += 16) {
            int32x4_t a = vdupq_n_s32(s->sum_offset), b = a, d = a, e = a;
            for (int32_t i = 0; i < outer; i++) {
                const int8_t *from = in + c + tg_mve_outer_place(s, i);
                for (int32_t k = 0; k < s->reduced[2]; k++) {
                    a = vaddq_s32(a, vldrbq_s32(from));
                    b = vaddq_s32(b, vldrbq_s32(from + 4));
                    d = vaddq_s32(d, vldrbq_s32(from + 8));
                    e = vaddq_s32(e, vldrbq_s32(from + 12));
                    from += s->reduced_stride[2];
                }
            }
            a = tg_mve_scale(a, s->multiplier, s->shift, 0);
            b = tg_mve_scale(b, s->multiplier, s->shift, 0);
            d = tg_mve_scale(d, s->multiplier, s->shift, 0);
            e = tg_mve_scale(e, s->multiplier, s->shift, 0);
            tg_mve_store_16(output + c, a, b, d, e, s->output_offset, -128, 127);
        }
        for (; c < s->kept[2]; c += 4) {
            const mve_pred16_t lanes = vctp32q((uint32_t)(s->kept[2] - c));
            int32x4_t sum = vdupq_n_s32(s->sum_offset);
            for (int32_t i = 0; i < outer; i++) {
                const int8_t *from = in + c + tg_mve_outer_place(s, i);
                sum = tg_mve_sum_some(from, s->reduced[2], s->reduced_stride[2], sum, lanes);
            }
            tg_mve_store_some(output + c, tg_mve_scale(sum, s->multiplier, s->shift, 0), s->kept[2] - c,
                              s->output_offset, -128, 127);
        }
        output += s->kept[2];
    }
}

#endif
