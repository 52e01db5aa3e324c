/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of equal runs of bytes between two arrays: transposes, slices, concatenations, splits. */
#ifndef TG_MOVE_H
#define TG_MOVE_H

#include <stdint.h>
#include <string.h>

#include "fixed_point.h"

#define TG_MOVE_LOOPS 6

typedef struct {
    int32_t run;                 /* bytes copied at once */
    int32_t alignment;           /* bytes, of every run: 1, 2 or 4 */
    int32_t size[TG_MOVE_LOOPS]; /* repeats, outermost first */
    int32_t from[TG_MOVE_LOOPS]; /* strides in bytes, negative ones included */
    int32_t to[TG_MOVE_LOOPS];
} tg_move_shape;

TG_INLINE void tg_copy_run(uint8_t *to, const uint8_t *from, int32_t bytes, int32_t alignment)
{
    if (alignment == 4) {
        memcpy(__builtin_assume_aligned(to, 4), __builtin_assume_aligned(from, 4), (size_t)bytes);
    } else if (alignment == 2) {
        memcpy(__builtin_assume_aligned(to, 2), __builtin_assume_aligned(from, 2), (size_t)bytes);
    } else {
        memcpy(to, from, (size_t)bytes);
    }
}

TG_INLINE void tg_move(const tg_move_shape *s, const void *source, void *target)
{
    const uint8_t *from = source;
    uint8_t *to = target;
    for (int32_t i = 0; i < s->size[0]; i++) {
        for (int32_t j = 0; j < s->size[1]; j++) {
            for (int32_t k = 0; k < s->size[2]; k++) {
                for (int32_t l = 0; l < s->size[3]; l++) {
                    const int32_t read = i * s->from[0] + j * s->from[1] + k * s->from[2] + l * s->from[3];
                    const int32_t written = i * s->to[0] + j * s->to[1] + k * s->to[2] + l * s->to[3];
                    for (int32_t m = 0; m < s->size[4]; m++) {
                        const uint8_t *in = from + read + m * s->from[4];
                        uint8_t *out = to + written + m * s->to[4];
                        for (int32_t n = 0; n < s->size[5]; n++) {
                            tg_copy_run(out + n * s->to[5], in + n * s->from[5], s->run, s->alignment);
                        }
                    }
                }
            }
        }
    }
}

#endif
