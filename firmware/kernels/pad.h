/* SPDX-License-Identifier: Apache-2.0 */
/* PAD and PADV2: the output in one pass, from its first element to its last.
   Reference: TFLite kernels/internal/reference/pad.h */
#ifndef TG_PAD_H
#define TG_PAD_H

#include <stdint.h>
#include <string.h>

#include "fixed_point.h"

#define TG_PAD_AXES 5

typedef struct {
    int32_t run;                   /* elements copied at once: the innermost padded axis and all inside it */
    int32_t size[TG_PAD_AXES - 1]; /* repeats around the run, outermost first */
    int32_t before[TG_PAD_AXES];   /* elements of padding in front of an axis */
    int32_t after[TG_PAD_AXES];
} tg_pad_shape;

TG_INLINE int8_t *tg_fill_s8(int8_t *output, int32_t count, int8_t fill)
{
    memset(output, fill, (size_t)count);
    return output + count;
}

TG_INLINE int16_t *tg_fill_s16(int16_t *output, int32_t count, int16_t fill)
{
    for (int32_t i = 0; i < count; i++) {
        output[i] = fill;
    }
    return output + count;
}

TG_INLINE void tg_pad_s8(const tg_pad_shape *s, const int8_t *input, int8_t fill, int8_t *output)
{
    output = tg_fill_s8(output, s->before[0], fill);
    for (int32_t i = 0; i < s->size[0]; i++) {
        output = tg_fill_s8(output, s->before[1], fill);
        for (int32_t j = 0; j < s->size[1]; j++) {
            output = tg_fill_s8(output, s->before[2], fill);
            for (int32_t k = 0; k < s->size[2]; k++) {
                output = tg_fill_s8(output, s->before[3], fill);
                for (int32_t l = 0; l < s->size[3]; l++) {
                    output = tg_fill_s8(output, s->before[4], fill);
                    memcpy(output, input, (size_t)s->run);
                    output = tg_fill_s8(output + s->run, s->after[4], fill);
                    input += s->run;
                }
                output = tg_fill_s8(output, s->after[3], fill);
            }
            output = tg_fill_s8(output, s->after[2], fill);
        }
        output = tg_fill_s8(output, s->after[1], fill);
    }
    tg_fill_s8(output, s->after[0], fill);
}

TG_INLINE void tg_pad_s16(const tg_pad_shape *s, const int16_t *input, int16_t fill, int16_t *output)
{
    output = tg_fill_s16(output, s->before[0], fill);
    for (int32_t i = 0; i < s->size[0]; i++) {
        output = tg_fill_s16(output, s->before[1], fill);
        for (int32_t j = 0; j < s->size[1]; j++) {
            output = tg_fill_s16(output, s->before[2], fill);
            for (int32_t k = 0; k < s->size[2]; k++) {
                output = tg_fill_s16(output, s->before[3], fill);
                for (int32_t l = 0; l < s->size[3]; l++) {
                    output = tg_fill_s16(output, s->before[4], fill);
                    memcpy(output, input, (size_t)s->run * sizeof *input);
                    output = tg_fill_s16(output + s->run, s->after[4], fill);
                    input += s->run;
                }
                output = tg_fill_s16(output, s->after[3], fill);
            }
            output = tg_fill_s16(output, s->after[2], fill);
        }
        output = tg_fill_s16(output, s->after[1], fill);
    }
    tg_fill_s16(output, s->after[0], fill);
}

#endif
