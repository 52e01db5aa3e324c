/* SPDX-License-Identifier: Apache-2.0 */
/* 3x3 depthwise convolution of one plane, stride 1 or 2 along its lines: two outputs per step, the weights
   in registers, five instructions of requantization.

   A channel's record holds doubled weights as pairs of 16 bits, the doubled bias, then multiplier, round
   and shift of tg_requantize. Stride 1, each row of the kernel: (w0, w1), (w1, w2). Stride 2: (w0, w1)
   of each row, then (w2 of row 0, w2 of row 1), (w2 of row 2, 0). */
#ifndef TG_DSP_DEPTHWISE_3X3_H
#define TG_DSP_DEPTHWISE_3X3_H

#include "dsp.h"
#include "dsp/requantize.h"

typedef struct {
    int32_t stride;       /* along a line: 1 or 2 */
    int32_t pitch;        /* of the plane, in codes; even, at most 254 */
    int32_t line_advance; /* in the plane, from a line of outputs to the next, in codes */
    int32_t outputs;      /* of a line, at most 510 */
    int32_t step;         /* from an output to the next of its line, in elements */
    int32_t line_step;    /* from a line of outputs to the next */
    int32_t unroll;       /* pairs of outputs per step: 1 or more, a divisor of those of a line */
} tg_depthwise_3x3;

#define TG_DEPTHWISE_SHARED_PITCH 64 /* what one function serves, in codes */

#if TG_DSP_ASSEMBLY

/* Sums r9 and r10; codes r11, r12 and r0; weights r3 to r8 (stride 2: r3 to r7, bias r8); plane r1; output
   r2; lr holds the shift and, from bit 8 on, a counter.
   Stack: 0 bias, 8 multiplier, 12 round, 24 end of the plane, 28 r7. */
#define TG_DEPTHWISE_3X3_PAIR_1              \
    "ldrd r11, r12, [r1, %[pitch]]\n\t"      \
    "ldr r10, [sp]\n\t"                      \
    "smlad r9, r11, r5, r10\n\t"             \
    "smlatb r10, r11, r5, r10\n\t"           \
    "smlabt r9, r12, r6, r9\n\t"             \
    "smlad r10, r12, r6, r10\n\t"            \
    "ldrd r11, r12, [r1, %[pitch_2]]\n\t"    \
    "smlad r9, r11, r7, r9\n\t"              \
    "smlatb r10, r11, r7, r10\n\t"           \
    "smlabt r9, r12, r8, r9\n\t"             \
    "smlad r10, r12, r8, r10\n\t"            \
    "ldrd r11, r12, [r1], #4\n\t"            \
    "smlad r9, r11, r3, r9\n\t"              \
    "smlatb r10, r11, r3, r10\n\t"           \
    "smlabt r9, r12, r4, r9\n\t"             \
    "smlad r10, r12, r4, r10\n\t"

#define TG_DEPTHWISE_3X3_LAST_1              \
    "ldrd r11, r12, [r1, %[pitch]]\n\t"      \
    "ldr r9, [sp]\n\t"                       \
    "smlad r9, r11, r5, r9\n\t"              \
    "smlabt r9, r12, r6, r9\n\t"             \
    "ldrd r11, r12, [r1, %[pitch_2]]\n\t"    \
    "smlad r9, r11, r7, r9\n\t"              \
    "smlabt r9, r12, r8, r9\n\t"             \
    "ldrd r11, r12, [r1]\n\t"                \
    "smlad r9, r11, r3, r9\n\t"              \
    "smlabt r9, r12, r4, r9\n\t"

#define TG_DEPTHWISE_3X3_PAIR_2              \
    "ldrd r11, r12, [r1, %[pitch]]\n\t"      \
    "ldr r0, [r1, #%c[pitch] + 8]\n\t"         \
    "smlad r9, r11, r4, r8\n\t"              \
    "smlad r10, r12, r4, r8\n\t"             \
    "smlabt r9, r12, r6, r9\n\t"             \
    "smlabt r10, r0, r6, r10\n\t"            \
    "ldrd r11, r12, [r1, %[pitch_2]]\n\t"    \
    "ldr r0, [r1, #%c[pitch_2] + 8]\n\t"       \
    "smlad r9, r11, r5, r9\n\t"              \
    "smlad r10, r12, r5, r10\n\t"            \
    "smlabb r9, r12, r7, r9\n\t"             \
    "smlabb r10, r0, r7, r10\n\t"            \
    "ldr r0, [r1, #8]\n\t"                   \
    "ldrd r11, r12, [r1], #8\n\t"            \
    "smlad r9, r11, r3, r9\n\t"              \
    "smlad r10, r12, r3, r10\n\t"            \
    "smlabb r9, r12, r6, r9\n\t"             \
    "smlabb r10, r0, r6, r10\n\t"

#define TG_DEPTHWISE_3X3_LAST_2              \
    "ldrd r11, r12, [r1, %[pitch]]\n\t"      \
    "smlad r9, r11, r4, r8\n\t"              \
    "smlabt r9, r12, r6, r9\n\t"             \
    "ldrd r11, r12, [r1, %[pitch_2]]\n\t"    \
    "smlad r9, r11, r5, r9\n\t"              \
    "smlabb r9, r12, r7, r9\n\t"             \
    "ldrd r11, r12, [r1]\n\t"                \
    "smlad r9, r11, r3, r9\n\t"              \
    "smlabb r9, r12, r6, r9\n\t"

#define TG_DEPTHWISE_3X3_STORE_PAIR          \
    "ldrd r11, r12, [sp, #8]\n\t"            \
    "smmlar r0, r9, r11, r12\n\t"            \
    "smmlar r12, r10, r11, r12\n\t"          \
    "add r0, r0, r9, asr #31\n\t"            \
    "add r12, r12, r10, asr #31\n\t"         \
    "asr r0, r0, lr\n\t"                     \
    "asr r12, r12, lr\n\t"                   \
    "ssat r0, #8, r0\n\t"                    \
    "ssat r12, #8, r12\n\t"                  \
    ".if %c[step] < 256\n\t"                 \
    "strb r0, [r2], %[step]\n\t"             \
    "strb r12, [r2], %[step]\n\t"            \
    ".else\n\t"                              \
    "strb r0, [r2, #.Ltg_at]\n\t"            \
    ".set .Ltg_at, .Ltg_at + %c[step]\n\t"   \
    "strb r12, [r2, #.Ltg_at]\n\t"           \
    ".set .Ltg_at, .Ltg_at + %c[step]\n\t"   \
    ".endif\n\t"

/* `unroll` pairs, then the output moves on where the stores have not moved it. */
#define TG_DEPTHWISE_3X3_PAIRS(pair)         \
    ".set .Ltg_at, 0\n\t"                    \
    ".rept %c[unroll]\n\t" pair              \
    TG_DEPTHWISE_3X3_STORE_PAIR              \
    ".endr\n\t"                              \
    ".if %c[step] >= 256\n\t"                \
    "addw r2, r2, #.Ltg_at\n\t"              \
    ".endif\n\t"

#define TG_DEPTHWISE_3X3_STORE_LAST          \
    "ldrd r11, r12, [sp, #8]\n\t"            \
    "smmlar r0, r9, r11, r12\n\t"            \
    "add r0, r0, r9, asr #31\n\t"            \
    "asr r0, r0, lr\n\t"                     \
    "ssat r0, #8, r0\n\t"                    \
    "strb r0, [r2]\n\t"

/* The same with a step that is read at run time. */
#define TG_DEPTHWISE_3X3_STORE_STEP          \
    "ldrd r11, r12, [sp, #8]\n\t"            \
    "smmlar r0, r9, r11, r12\n\t"            \
    "smmlar r12, r10, r11, r12\n\t"          \
    "ldr r11, [sp, #16]\n\t"                 \
    "add r0, r0, r9, asr #31\n\t"            \
    "add r12, r12, r10, asr #31\n\t"         \
    "asr r0, r0, lr\n\t"                     \
    "asr r12, r12, lr\n\t"                   \
    "ssat r0, #8, r0\n\t"                    \
    "ssat r12, #8, r12\n\t"                  \
    "strb r0, [r2]\n\t"                      \
    "strb r12, [r2, r11]\n\t"                \
    "add r2, r2, r11, lsl #1\n\t"

/* bias, multiplier, round and shift to their places; stride 2 has the bias in r8 already. */
#define TG_DEPTHWISE_3X3_LOAD_1              \
    "ldm r0, {r9-r12}\n\t"                   \
    "str r9, [sp]\n\t"

#define TG_DEPTHWISE_3X3_LOAD_2              \
    "ldm r0, {r10-r12}\n\t"

#define TG_DEPTHWISE_3X3_BODY(load, pair, last)                                                            \
    __asm__ volatile("push {r3, r7}\n\t"                                                                   \
                     "sub sp, #24\n\t"                                                                     \
                     "ldm r0!, {r3-r8}\n\t" load                                                           \
                     "strd r10, r11, [sp, #8]\n\t"                                                         \
                     "mov lr, r12\n"                                                                       \
                     "1:\n\t"                                                                              \
                     ".if %c[outputs] / 2 > %c[unroll]\n\t"                                                \
                     "add lr, lr, %[count]\n"                                                              \
                     "2:\n\t" TG_DEPTHWISE_3X3_PAIRS(pair)                                                 \
                     "subs lr, lr, #256\n\t"                                                               \
                     "bpl 2b\n\t"                                                                          \
                     "add lr, lr, #256\n\t"                                                                \
                     ".elseif %c[outputs] > 1\n\t" TG_DEPTHWISE_3X3_PAIRS(pair)                            \
                     ".endif\n\t"                                                                          \
                     ".if %c[outputs] %% 2\n\t" last TG_DEPTHWISE_3X3_STORE_LAST                           \
                     ".endif\n\t"                                                                          \
                     "ldr r0, [sp, #24]\n\t"                                                               \
                     "addw r1, r1, %[advance]\n\t"                                                         \
                     ".if %c[skip] > 4095 || %c[skip] < -4095\n\t"                                         \
                     "movw r9, #:lower16:%c[skip]\n\t"                                                       \
                     "movt r9, #:upper16:%c[skip]\n\t"                                                     \
                     "add r2, r9\n\t"                                                                      \
                     ".elseif %c[skip] > 0\n\t"                                                            \
                     "addw r2, r2, %[skip]\n\t"                                                            \
                     ".elseif %c[skip] < 0\n\t"                                                            \
                     "subw r2, r2, #-(%c[skip])\n\t"                                                       \
                     ".endif\n\t"                                                                          \
                     "cmp r1, r0\n\t"                                                                      \
                     "bne 1b\n\t"                                                                          \
                     "add sp, #24\n\t"                                                                     \
                     "pop {r3, r7}\n\t"                                                                    \
                     : "+r"(record), "+r"(from), "+r"(to)                                                  \
                     : "r"(end), [pitch] "i"(2 * s->pitch), [pitch_2] "i"(4 * s->pitch),                   \
                       [step] "i"(s->step), [outputs] "i"(s->outputs), [unroll] "i"(s->unroll),            \
                       [count] "i"((s->outputs / 2 / s->unroll - 1) * 256),                                \
                       [advance] "i"(2 * s->line_advance - 4 * s->stride * (s->outputs / 2)),              \
                       [skip] "i"(s->line_step - s->step * (s->outputs - s->outputs % 2))                  \
                     : "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory")

/* The same for every shape with one pitch: what a line needs is read at run time. Stack: 16 step, 24 line. */
#define TG_DEPTHWISE_3X3_SHARED(load, pair, last)                                                          \
    __asm__ volatile("push {r3, r7}\n\t"                                                                   \
                     "sub sp, #24\n\t"                                                                     \
                     "ldr r9, [r3, #8]\n\t"                                                                \
                     "str r9, [sp, #16]\n\t"                                                               \
                     "ldm r0!, {r3-r8}\n\t" load                                                           \
                     "strd r10, r11, [sp, #8]\n\t"                                                         \
                     "mov lr, r12\n"                                                                       \
                     "1:\n\t"                                                                              \
                     "ldr r0, [sp, #24]\n\t"                                                               \
                     "ldr r9, [r0, #4]\n\t"                                                                \
                     "adds lr, lr, r9\n\t"                                                                 \
                     "bmi 3f\n"                                                                            \
                     "2:\n\t" pair TG_DEPTHWISE_3X3_STORE_STEP                                             \
                     "subs lr, lr, #256\n\t"                                                               \
                     "bpl 2b\n"                                                                            \
                     "3:\n\t"                                                                              \
                     "add lr, lr, #256\n\t"                                                                \
                     "ldr r0, [sp, #24]\n\t"                                                               \
                     "ldr r9, [r0, #20]\n\t"                                                               \
                     "cmp r9, #0\n\t"                                                                      \
                     "beq 4f\n\t" last TG_DEPTHWISE_3X3_STORE_LAST                                         \
                     "4:\n\t"                                                                              \
                     "ldr r0, [sp, #24]\n\t"                                                               \
                     "ldrd r9, r10, [r0, #12]\n\t"                                                         \
                     "ldr r0, [r0]\n\t"                                                                    \
                     "add r1, r1, r9\n\t"                                                                  \
                     "add r2, r2, r10\n\t"                                                                 \
                     "cmp r1, r0\n\t"                                                                      \
                     "bne 1b\n\t"                                                                          \
                     "add sp, #24\n\t"                                                                     \
                     "pop {r3, r7}\n\t"                                                                    \
                     : "+r"(record), "+r"(from), "+r"(to)                                                  \
                     : "r"(line), [pitch] "i"(2 * TG_DEPTHWISE_SHARED_PITCH),                              \
                       [pitch_2] "i"(4 * TG_DEPTHWISE_SHARED_PITCH)                                        \
                     : "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory")

/* As tg_depthwise_3x3_s8 with only stride and pitch, TG_DEPTHWISE_SHARED_PITCH, constant. */
TG_INLINE void tg_depthwise_3x3_shared_s8(const tg_depthwise_3x3 *s, const int32_t *channel,
                                          const int16_t *plane, int32_t lines, int8_t *output)
{
    struct {
        const int16_t *end;
        int32_t count, step, advance, skip, odd;
    } values = {
        .end = plane + lines * s->line_advance,
        .count = (s->outputs / 2 - 1) * 256,
        .step = s->step,
        .advance = 2 * s->line_advance - 4 * s->stride * (s->outputs / 2),
        .skip = s->line_step - s->step * (s->outputs - s->outputs % 2),
        .odd = s->outputs % 2,
    };
    register const int32_t *record __asm__("r0") = channel;
    register const int16_t *from __asm__("r1") = plane;
    register int8_t *to __asm__("r2") = output;
    register const void *line __asm__("r3") = &values;
    if (s->stride == 1) {
        TG_DEPTHWISE_3X3_SHARED(TG_DEPTHWISE_3X3_LOAD_1, TG_DEPTHWISE_3X3_PAIR_1, TG_DEPTHWISE_3X3_LAST_1);
    } else {
        TG_DEPTHWISE_3X3_SHARED(TG_DEPTHWISE_3X3_LOAD_2, TG_DEPTHWISE_3X3_PAIR_2, TG_DEPTHWISE_3X3_LAST_2);
    }
}

/* `lines` lines of outputs, at least one; every field of `s` constant. */
TG_INLINE void tg_depthwise_3x3_s8(const tg_depthwise_3x3 *s, const int32_t *channel, const int16_t *plane,
                                   int32_t lines, int8_t *output)
{
    register const int32_t *record __asm__("r0") = channel;
    register const int16_t *from __asm__("r1") = plane;
    register int8_t *to __asm__("r2") = output;
    register const int16_t *end __asm__("r3") = plane + lines * s->line_advance;
    if (s->stride == 1) {
        TG_DEPTHWISE_3X3_BODY(TG_DEPTHWISE_3X3_LOAD_1, TG_DEPTHWISE_3X3_PAIR_1, TG_DEPTHWISE_3X3_LAST_1);
    } else {
        TG_DEPTHWISE_3X3_BODY(TG_DEPTHWISE_3X3_LOAD_2, TG_DEPTHWISE_3X3_PAIR_2, TG_DEPTHWISE_3X3_LAST_2);
    }
}

#else

/* A row of three taps at `codes`, in the order of the instructions above. */
TG_INLINE int32_t tg_depthwise_3x3_row(const tg_depthwise_3x3 *s, const int32_t *channel, int32_t row,
                                       const int16_t *codes, int32_t acc)
{
    const uint32_t x = tg_load_word(codes);
    const uint32_t y = tg_load_word(codes + 2);
    if (s->stride == 1) {
        acc = tg_smlad(x, (uint32_t)channel[2 * row], acc);
        return tg_smlabt(y, (uint32_t)channel[2 * row + 1], acc);
    }
    acc = tg_smlad(x, (uint32_t)channel[row], acc);
    const uint32_t last = (uint32_t)channel[3 + row / 2];
    return row == 1 ? tg_smlabt(y, last, acc) : tg_smlabb(y, last, acc);
}

TG_INLINE void tg_depthwise_3x3_s8(const tg_depthwise_3x3 *s, const int32_t *channel, const int16_t *plane,
                                   int32_t lines, int8_t *output)
{
    const int32_t *last = channel + (s->stride == 1 ? 6 : 5); /* bias, multiplier, round, shift */
    for (int32_t line = 0; line < lines; line++) {
        for (int32_t k = 0; k < s->outputs; k++) {
            const int16_t *codes = plane + line * s->line_advance + k * s->stride;
            int32_t acc = last[0];
            for (int32_t row = 0; row < 3; row++) {
                acc = tg_depthwise_3x3_row(s, channel, row, codes + row * s->pitch, acc);
            }
            output[line * s->line_step + k * s->step] = tg_requantize(acc, last[1], last[2], last[3]);
        }
    }
}

TG_INLINE void tg_depthwise_3x3_shared_s8(const tg_depthwise_3x3 *s, const int32_t *channel,
                                          const int16_t *plane, int32_t lines, int8_t *output)
{
    tg_depthwise_3x3_s8(s, channel, plane, lines, output);
}

#endif

#endif
