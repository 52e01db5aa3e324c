/* SPDX-License-Identifier: Apache-2.0 */
/* What the printed blocks of the DSP convolutions share: their C equivalent, and the widening of weights
   and codes to pairs of 16 bits. */
#ifndef TG_DSP_CONV_BLOCK_H
#define TG_DSP_CONV_BLOCK_H

#include <stdint.h>
#include <string.h>

#include "dsp.h"

typedef struct {
    int32_t words, runs;       /* a patch: runs of words of two codes */
    int32_t jump;              /* bytes from the end of a run to the next */
    int32_t spacing;           /* bytes from a pixel's patch to the next pixel's */
    int32_t channels, second;  /* outputs from pixel to pixel, from channel to channel */
    int32_t wide;              /* the rule for any shift */
    int32_t zero_point, low, high;
} tg_conv_block;

/* Twice a sum to its code, the zero point in `round`; see `scaled` in tinyguard/kernels/dsp/block.py. */
TG_INLINE int32_t tg_conv_scaled(int32_t twice, int32_t multiplier, int32_t round, int32_t shift,
                                 int32_t positive)
{
    return tg_smmlar(twice, multiplier, positive ? round : round + (twice >> 31)) >> shift;
}

/* tg_clamp, with SSAT for the whole range, which GCC does not find. */
TG_INLINE int8_t tg_conv_clamp(int32_t x, int32_t low, int32_t high)
{
    return low == -128 && high == 127 ? tg_ssat_8(x) : (int8_t)tg_clamp(x, low, high);
}

/* acc * 2^(1 + left) * multiplier, rounded to 32 bits, then rounded to right by shift. */
TG_INLINE int32_t tg_conv_block_scale(int32_t acc, int32_t left, int32_t multiplier, int32_t again,
                                      int32_t round, int32_t shift)
{
    const int32_t scaled = tg_smmulr((int32_t)((uint32_t)acc << left), multiplier);
    const int32_t high = (int32_t)((uint32_t)scaled << again);
    return (high + (high >> 31) + round) >> shift;
}

/* The printed assembly in C: `pixels` pixels of two output channels. The weights' record: two sums to start
   from, weights (four words per quad: first channel's two, second's), then both channels' parameters. */
TG_INLINE void tg_conv_block_row(const tg_conv_block *s, const int16_t *patches, const uint32_t *weights,
                                 int8_t *output, int32_t pixels)
{
    const int32_t words = s->words * s->runs;
    const int32_t *parameters = (const int32_t *)weights + 2 + 2 * words;
    for (int32_t pixel = 0; pixel < pixels; pixel++) {
        for (int32_t channel = 0; channel < 2; channel++) {
            const int16_t *w = (const int16_t *)(const void *)(weights + 2);
            const int16_t *x = patches + pixel * (s->spacing / 2);
            uint32_t acc = weights[channel];
            for (int32_t run = 0; run < s->runs; run++, x += s->jump / 2) {
                for (int32_t k = 0; k < s->words; k++, x += 2) {
                    const int32_t quad = (s->words & ~1) > k;
                    const int16_t *pair = w + (quad ? (k & ~1) * 4 + channel * 4 + (k & 1) * 2
                                                    : (k & ~1) * 4 + channel * 2);
                    acc += (uint32_t)(x[0] * pair[0]) + (uint32_t)(x[1] * pair[1]);
                }
                w += s->words * 4;
            }
            int32_t code;
            if (s->wide) {
                const int32_t *p = parameters + 5 * channel;
                code = tg_conv_block_scale((int32_t)acc, p[0], p[1], p[2], p[3], p[4]) + s->zero_point;
            } else {
                const int32_t *p = parameters + 3 * channel;
                code = tg_conv_block_scale((int32_t)acc, 1, p[0], 0, p[1], p[2]);
            }
            output[pixel * s->channels + channel * s->second] = (int8_t)tg_clamp(code, s->low, s->high);
        }
    }
}

/* Zeros. The barrier keeps GCC from calling memset, which small C libraries fill byte by byte. */
static __attribute__((noinline, unused)) void tg_conv_zero(int16_t *to, int32_t count)
{
    if (count > 0 && ((uintptr_t)to & 2u)) {
        *to++ = 0;
        count--;
    }
    uint32_t *words = (uint32_t *)(void *)to;
    for (; count >= 8; count -= 8, words += 4) {
        words[0] = 0;
        words[1] = 0;
        words[2] = 0;
        words[3] = 0;
        __asm__ volatile("" ::: "memory");
    }
    for (to = (int16_t *)words; count > 0; count--) {
        *to++ = 0;
        __asm__ volatile("" ::: "memory");
    }
}

/* Codes to a lower address, both aligned to 4, an even count. */
static __attribute__((noinline, unused)) void tg_conv_move_down(const int16_t *from, int32_t count,
                                                                int16_t *to)
{
    const uint32_t *words = (const uint32_t *)(const void *)from;
    uint32_t *target = (uint32_t *)(void *)to;
#if defined(__ARM_FEATURE_DSP)
    for (; count >= 16; count -= 16) {
        __asm__ volatile("ldm %[from]!, {r3, r4, r5, r6, r8, r9, r10, r11}\n\t"
                         "stm %[to]!, {r3, r4, r5, r6, r8, r9, r10, r11}"
                         : [from] "+r"(words), [to] "+r"(target)
                         :
                         : "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "memory");
    }
#endif
    for (; count > 0; count -= 2) {
        *target++ = *words++;
        __asm__ volatile("" ::: "memory");
    }
}

/* Every word of four int8 to two words: bytes 0 and 2, bytes 1 and 3. */
static __attribute__((noinline, unused)) void tg_conv_widen_weights(const uint32_t *narrow, int32_t words,
                                                                    uint32_t *wide)
{
#if defined(__ARM_FEATURE_DSP)
    for (; words >= 4; words -= 4) {
        __asm__ volatile("ldm %[narrow]!, {r3, r5, r8, r10}\n\t"
                         "sxtb16 r2, r3\n\t"
                         "sxtb16 r3, r3, ror #8\n\t"
                         "sxtb16 r4, r5\n\t"
                         "sxtb16 r5, r5, ror #8\n\t"
                         "sxtb16 r6, r8\n\t"
                         "sxtb16 r8, r8, ror #8\n\t"
                         "sxtb16 r9, r10\n\t"
                         "sxtb16 r10, r10, ror #8\n\t"
                         "stm %[wide]!, {r2, r3, r4, r5, r6, r8, r9, r10}"
                         : [narrow] "+r"(narrow), [wide] "+r"(wide)
                         :
                         : "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "memory");
    }
#endif
    for (; words > 0; words--) {
        const uint32_t w = *narrow++;
        *wide++ = ((uint32_t)(int8_t)w & 0xFFFFu) | ((uint32_t)(int8_t)(w >> 16) << 16);
        *wide++ = ((uint32_t)(int8_t)(w >> 8) & 0xFFFFu) | ((uint32_t)(int8_t)(w >> 24) << 16);
    }
}

/* count codes plus offset, as 16 bits each, in their order. */
static __attribute__((noinline, unused)) void tg_conv_widen(const int8_t *codes, int32_t count,
                                                            int32_t offset, int16_t *wide)
{
#if defined(__ARM_FEATURE_DSP)
    const uint32_t offsets = ((uint32_t)offset & 0xFFFFu) * 0x00010001u;
    uint32_t a, b, c;
    for (; count >= 8; count -= 8) {
        __asm__ volatile("ldr %[a], [%[codes]], #4\n\t"
                         "sxtab16 %[c], %[offsets], %[a]\n\t"
                         "sxtab16 %[a], %[offsets], %[a], ror #8\n\t"
                         "pkhbt %[b], %[c], %[a], lsl #16\n\t"
                         "pkhtb %[a], %[a], %[c], asr #16\n\t"
                         "str %[b], [%[wide]], #4\n\t"
                         "str %[a], [%[wide]], #4\n\t"
                         "ldr %[a], [%[codes]], #4\n\t"
                         "sxtab16 %[c], %[offsets], %[a]\n\t"
                         "sxtab16 %[a], %[offsets], %[a], ror #8\n\t"
                         "pkhbt %[b], %[c], %[a], lsl #16\n\t"
                         "pkhtb %[a], %[a], %[c], asr #16\n\t"
                         "str %[b], [%[wide]], #4\n\t"
                         "str %[a], [%[wide]], #4"
                         : [codes] "+r"(codes), [wide] "+r"(wide), [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c)
                         : [offsets] "r"(offsets)
                         : "memory");
    }
#endif
    for (; count > 0; count--) {
        *wide++ = (int16_t)(*codes++ + offset);
    }
}

/* The same for words of four codes at `wide` aligned to 4: codes 0 and 2, then codes 1 and 3. */
static __attribute__((noinline, unused)) void tg_conv_widen_quads(const int8_t *codes, int32_t count,
                                                                  int32_t offset, int16_t *wide)
{
#if defined(__ARM_FEATURE_DSP)
    const uint32_t offsets = ((uint32_t)offset & 0xFFFFu) * 0x00010001u;
    for (; count >= 16; count -= 16) {
        __asm__ volatile("ldr r3, [%[codes]], #4\n\t"
                         "ldr r5, [%[codes]], #4\n\t"
                         "ldr r8, [%[codes]], #4\n\t"
                         "ldr r10, [%[codes]], #4\n\t"
                         "sxtab16 r2, %[offsets], r3\n\t"
                         "sxtab16 r3, %[offsets], r3, ror #8\n\t"
                         "sxtab16 r4, %[offsets], r5\n\t"
                         "sxtab16 r5, %[offsets], r5, ror #8\n\t"
                         "sxtab16 r6, %[offsets], r8\n\t"
                         "sxtab16 r8, %[offsets], r8, ror #8\n\t"
                         "sxtab16 r9, %[offsets], r10\n\t"
                         "sxtab16 r10, %[offsets], r10, ror #8\n\t"
                         "stm %[wide]!, {r2, r3, r4, r5, r6, r8, r9, r10}"
                         : [codes] "+r"(codes), [wide] "+r"(wide)
                         : [offsets] "r"(offsets)
                         : "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "memory");
    }
#endif
    for (; count > 0; count -= 4, codes += 4) {
        *wide++ = (int16_t)(codes[0] + offset);
        *wide++ = (int16_t)(codes[2] + offset);
        *wide++ = (int16_t)(codes[1] + offset);
        *wide++ = (int16_t)(codes[3] + offset);
    }
}

#endif
