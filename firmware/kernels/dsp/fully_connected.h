/* SPDX-License-Identifier: Apache-2.0 */
/* FULLY_CONNECTED, int8, on the SMLAD family: four output channels per pass, every weight read once.

   Two channels share a word: each 16-bit lane holds 256 * first + second. SMLAD of the codes and the word as
   it is sums 256 * first + second, of its bytes 0 and 2 (SXTB16) the second alone; the difference is the
   first, exact while its sum stays within 24 bits. */
#ifndef TG_DSP_FULLY_CONNECTED_H
#define TG_DSP_FULLY_CONNECTED_H

#include "dsp/conv_block.h"

typedef struct {
    int32_t batches, input_channels, output_channels;
    int32_t quads;        /* of codes, the last filled up with zeros */
    int32_t input_offset; /* minus the input's zero point */
    int32_t wide;         /* the rule for any shift */
    int32_t zero_point, low, high;
} tg_dsp_fully_connected_shape;

/* sums: 256 * first + second, second, and the same of the second pair; both pairs' words follow each other
   quad by quad, two and two. Returns the end of the weights. */
TG_INLINE const uint32_t *tg_dsp_dot_4(const int16_t *codes, const uint32_t *weights, int32_t quads,
                                       uint32_t sums[4])
{
#if defined(__ARM_FEATURE_DSP)
    register const int16_t *x __asm__("r0") = codes;
    register const uint32_t *w __asm__("r1") = weights;
    register uint32_t a __asm__("r2") = sums[0];
    register uint32_t b __asm__("r3") = sums[1];
    register uint32_t c __asm__("r4") = sums[2];
    register uint32_t d __asm__("r5") = sums[3];
    register int32_t n __asm__("r6") = quads;
#define TG_DOT_4_QUAD                      \
    "ldm r1!, {r8, r9, r10, r11}\n\t"      \
    "ldrd r12, lr, [r0], #8\n\t"           \
    "smlad r2, r12, r8, r2\n\t"            \
    "sxtb16 r8, r8\n\t"                    \
    "smlad r3, r12, r8, r3\n\t"            \
    "smlad r2, lr, r9, r2\n\t"             \
    "sxtb16 r9, r9\n\t"                    \
    "smlad r3, lr, r9, r3\n\t"             \
    "smlad r4, r12, r10, r4\n\t"           \
    "sxtb16 r10, r10\n\t"                  \
    "smlad r5, r12, r10, r5\n\t"           \
    "smlad r4, lr, r11, r4\n\t"            \
    "sxtb16 r11, r11\n\t"                  \
    "smlad r5, lr, r11, r5\n\t"
    __asm__ volatile(".syntax unified\n\t"
                     "subs r6, r6, #8\n\t"
                     "blt 2f\n\t"
                     "1:\n\t"
                     TG_DOT_4_QUAD TG_DOT_4_QUAD TG_DOT_4_QUAD TG_DOT_4_QUAD
                     TG_DOT_4_QUAD TG_DOT_4_QUAD TG_DOT_4_QUAD TG_DOT_4_QUAD
                     "subs r6, r6, #8\n\t"
                     "bge 1b\n\t"
                     "2:\n\t"
                     "adds r6, r6, #8\n\t"
                     "beq 4f\n\t"
                     "3:\n\t" TG_DOT_4_QUAD
                     "subs r6, r6, #1\n\t"
                     "bne 3b\n\t"
                     "4:"
                     : "+r"(x), "+r"(w), "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(n)
                     :
                     : "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory");
    sums[0] = a;
    sums[1] = b;
    sums[2] = c;
    sums[3] = d;
    return w;
#else
    for (int32_t k = 0; k < quads; k++, codes += 4, weights += 4) {
        for (int32_t word = 0; word < 4; word++) {
            const int16_t *x = codes + 2 * (word & 1);
            const int16_t low = (int16_t)weights[word], high = (int16_t)(weights[word] >> 16);
            uint32_t *sum = sums + (word & 2);
            sum[0] += (uint32_t)(x[0] * low) + (uint32_t)(x[1] * high);
            sum[1] += (uint32_t)(x[0] * (int8_t)low) + (uint32_t)(x[1] * (int8_t)high);
        }
    }
    return weights;
#endif
}

/* Four sums to at most `count` codes, with what is added to a sum and its scaling for each channel. */
TG_INLINE const uint32_t *tg_dsp_fully_connected_codes(const tg_dsp_fully_connected_shape *s,
                                                       const uint32_t sums[4], const uint32_t *record,
                                                       int8_t *output, int32_t count)
{
    if (s->wide || count < 4) {
        const int32_t words = s->wide ? 6 : 4;
        for (int32_t k = 0; k < 4 && k < count; k++) {
            const int32_t *p = (const int32_t *)record + words * k;
            const int32_t sum = (int32_t)(sums[k] + (uint32_t)p[0]);
            const int32_t code = s->wide
                                     ? tg_conv_block_scale(sum, p[1], p[2], p[3], p[4], p[5]) + s->zero_point
                                     : tg_conv_block_scale(sum, 1, p[1], 0, p[2], p[3]);
            output[k] = (int8_t)tg_clamp(code, s->low, s->high);
        }
        return record + 4 * words;
    }
    const int32_t low = s->low, high = s->high;
    const int32_t *p = (const int32_t *)record;
#pragma GCC unroll 4
    for (int32_t k = 0; k < 4; k++, p += 4) {
        const int32_t code = tg_conv_scaled((int32_t)(2 * (sums[k] + (uint32_t)p[0])), p[1], p[2], p[3], 0);
        output[k] = (int8_t)tg_clamp(code, low, high);
    }
    return record + 16;
}

/* Scratch: 4 * quads codes of 16 bits. A record of weights for four channels: where the second channels'
   sums start (two words), the words, and for each channel what is added to its sum and its scaling. */
static __attribute__((noinline, unused)) void tg_dsp_fully_connected(const tg_dsp_fully_connected_shape *s,
                                                                     const int8_t *input,
                                                                     const uint32_t *weights, int8_t *output,
                                                                     int16_t *codes)
{
    for (int32_t batch = 0; batch < s->batches; batch++, input += s->input_channels) {
        const uint32_t *record = weights;
        tg_conv_widen(input, s->input_channels, s->input_offset, codes);
        for (int32_t i = s->input_channels; i < 4 * s->quads; i++) {
            codes[i] = 0;
        }
        for (int32_t c = 0; c < s->output_channels; c += 4) {
            uint32_t sums[4] = {record[0], record[0], record[1], record[1]};
            record = tg_dsp_dot_4(codes, record + 2, s->quads, sums);
            sums[0] = (uint32_t)((int32_t)(sums[0] - sums[1]) >> 8);
            sums[2] = (uint32_t)((int32_t)(sums[2] - sums[3]) >> 8);
            record = tg_dsp_fully_connected_codes(s, sums, record, output, s->output_channels - c);
            output += 4;
        }
        output -= -s->output_channels & 3;
    }
}

#endif
