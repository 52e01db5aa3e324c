/* SPDX-License-Identifier: Apache-2.0 */
/* FULLY_CONNECTED on int8 codes: one row of codes times four rows of weights, interleaved by vectors. */
#ifndef TG_MVE_FULLY_CONNECTED_H
#define TG_MVE_FULLY_CONNECTED_H

#include "mve/requantize.h"

typedef struct {
    int32_t batches, input_channels, output_channels;
    int32_t left_shift; /* 1: some channel is shifted to the left */
    int32_t output_offset;
    int32_t low, high;
} tg_mve_fully_connected_shape;

/* `channels` holds, for each four output channels, their biases, multipliers, right and left shifts. */
TG_INLINE void tg_mve_fully_connected_s8(const tg_mve_fully_connected_shape *s, const int8_t *input,
                                         const int8_t *weights, const int32_t *channels, int8_t *output)
{
    for (int32_t batch = 0; batch < s->batches; batch++) {
        const int8_t *w = weights;
        const int32_t *constants = channels;
        for (int32_t c = 0; c < s->output_channels; c += 4) {
            const int8_t *x = input;
            int32_t sums[4] = {0, 0, 0, 0};
            __asm__ volatile("wlstp.8 lr, %[count], 2f\n"
                             "1:\n\t"
                             "vldrb.8 q0, [%[x]], #16\n\t"
                             "vldrb.8 q1, [%[w]], #16\n\t"
                             "vmladava.s8 %[a], q0, q1\n\t"
                             "vldrb.8 q1, [%[w]], #16\n\t"
                             "vmladava.s8 %[b], q0, q1\n\t"
                             "vldrb.8 q1, [%[w]], #16\n\t"
                             "vmladava.s8 %[c], q0, q1\n\t"
                             "vldrb.8 q1, [%[w]], #16\n\t"
                             "vmladava.s8 %[d], q0, q1\n\t"
                             "letp lr, 1b\n"
                             "2:"
                             : [x] "+r"(x), [w] "+r"(w), [a] "+Te"(sums[0]), [b] "+Te"(sums[1]),
                               [c] "+Te"(sums[2]), [d] "+Te"(sums[3])
                             : [count] "r"(s->input_channels)
                             : "q0", "q1", "lr", "memory");
            int32x4_t sum = vaddq_s32(vldrwq_s32(sums), vldrwq_s32(constants));
            if (s->left_shift) {
                sum = vshlq_s32(sum, vldrwq_s32(constants + 12));
            }
            sum = vqrdmulhq_s32(sum, vldrwq_s32(constants + 4));
            const int32x4_t right = vldrwq_s32(constants + 8);
            sum = vrshlq_s32(vaddq_s32(sum, vshrq_n_s32(vandq_s32(sum, right), 31)), right);
            tg_mve_store_some(output + c, sum, s->output_channels - c, s->output_offset, s->low, s->high);
            constants += 16;
        }
        input += s->input_channels;
        output += s->output_channels;
    }
}

#endif
