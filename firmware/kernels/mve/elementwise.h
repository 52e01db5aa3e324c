/* SPDX-License-Identifier: Apache-2.0 */
/* ADD, SUB and MUL on int8 codes, 16 at a time; the same shapes as the portable kernels. */
#ifndef TG_MVE_ELEMENTWISE_H
#define TG_MVE_ELEMENTWISE_H

#include "add.h"
#include "mul.h"
#include "mve/requantize.h"

/* tg_add_scale on four lanes: the operand of the larger scale is multiplied by a half exactly. */
TG_INLINE int32x4_t tg_mve_add_operand(int32x4_t x, int32_t offset, int32_t left_shift, int32_t multiplier,
                                       int32_t shift)
{
    const int32_t half = multiplier == 1 << 30 && shift == 0;
    const int32_t factor = 1 << (left_shift - half);
    const int32x4_t scaled = vmlasq_n_s32(x, vdupq_n_s32(factor), offset * factor);
    return half ? scaled : tg_mve_scale(scaled, multiplier, shift, 0);
}

TG_INLINE int32x4_t tg_mve_add_four(const tg_add_shape *s, int32x4_t x, int32x4_t y)
{
    const int32x4_t a = tg_mve_add_operand(x, s->a_offset, s->left_shift, s->a_multiplier, s->a_shift);
    const int32x4_t b = tg_mve_add_operand(y, s->b_offset, s->left_shift, s->b_multiplier, s->b_shift);
    const int32x4_t sum = s->subtract ? vsubq_s32(a, b) : vaddq_s32(a, b);
    return tg_mve_scale(sum, s->output_multiplier, s->output_shift, s->low >= s->output_offset);
}

TG_INLINE int32x4_t tg_mve_mul_four(const tg_mul_shape *s, int32x4_t x, int32x4_t y)
{
    const int32x4_t product = vmulq_s32(vaddq_n_s32(x, s->a_offset), vaddq_n_s32(y, s->b_offset));
    return tg_mve_scale(product, s->multiplier, s->shift, s->low >= s->output_offset);
}

/* Four codes of an operand, or the one that stands for all of its row. */
TG_INLINE int32x4_t tg_mve_operand(const int8_t *from, int32_t step, int32_t i)
{
    return step ? vldrbq_s32(from + i) : vdupq_n_s32(*from);
}

TG_INLINE int32x4_t tg_mve_operand_end(const int8_t *from, int32_t step, int32_t i, int32_t count)
{
    return step ? vldrbq_z_s32(from + i, vctp32q((uint32_t)count)) : vdupq_n_s32(*from);
}

#define TG_MVE_ELEMENTWISE(name, shape, four)                                                              \
    TG_INLINE int32x4_t name##_at(const shape *s, const tg_rows *rows, const int8_t *x, const int8_t *y,   \
                                  int32_t i)                                                               \
    {                                                                                                      \
        return four(s, tg_mve_operand(x, rows->a[5], i), tg_mve_operand(y, rows->b[5], i));                \
    }                                                                                                      \
                                                                                                           \
    TG_INLINE void name(const shape *s, const tg_rows *rows, const int8_t *a, const int8_t *b,             \
                        int8_t *output)                                                                    \
    {                                                                                                      \
        const int32_t size = rows->size[5];                                                                \
        TG_EACH_ROW(rows, level) {                                                                         \
            const int8_t *x = a + tg_row_start(rows->a, level);                                            \
            const int8_t *y = b + tg_row_start(rows->b, level);                                            \
            int32_t i = 0;                                                                                 \
            for (; i + 16 <= size; i += 16) {                                                              \
                tg_mve_store_16(output + i, name##_at(s, rows, x, y, i), name##_at(s, rows, x, y, i + 4),  \
                                name##_at(s, rows, x, y, i + 8), name##_at(s, rows, x, y, i + 12),         \
                                s->output_offset, s->low, s->high);                                        \
            }                                                                                              \
            for (; i < size; i += 4) {                                                                     \
                const int32x4_t p = tg_mve_operand_end(x, rows->a[5], i, size - i);                        \
                const int32x4_t q = tg_mve_operand_end(y, rows->b[5], i, size - i);                        \
                tg_mve_store_some(output + i, four(s, p, q), size - i, s->output_offset, s->low, s->high); \
            }                                                                                              \
            output += size;                                                                                \
        }                                                                                                  \
    }

TG_MVE_ELEMENTWISE(tg_mve_add_s8, tg_add_shape, tg_mve_add_four)
TG_MVE_ELEMENTWISE(tg_mve_mul_s8, tg_mul_shape, tg_mve_mul_four)

#endif
