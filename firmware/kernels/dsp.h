/* SPDX-License-Identifier: Apache-2.0 */
/* The DSP instructions of M4, M7, M33 and M55: two 16-bit lanes or four bytes per word. Every one has a C
   form that other machines run, and where it is one instruction, Arm's name. It is assembly, which stays
   where a kernel puts it, or, with _acle in its name, GCC's intrinsic, which GCC moves; a kernel uses the
   form with which it was measured.

   TG_DSP is 1 where the core has them; TG_DSP_IN_C makes it 1 on any other machine, so that the host tests
   the kernels that ask for it under its sanitizers. */
#ifndef TG_DSP_H
#define TG_DSP_H

#include <stdint.h>
#include <string.h>

#include "fixed_point.h"

#if defined(__ARM_FEATURE_DSP) || defined(TG_DSP_IN_C)
#define TG_DSP 1
#else
#define TG_DSP 0
#endif

/* The C forms also serve builds without optimization, where operands of the assembly are no constants. */
#if defined(__ARM_FEATURE_DSP) && defined(__OPTIMIZE__)
#define TG_DSP_ASSEMBLY 1
#else
#define TG_DSP_ASSEMBLY 0
#endif

/* One LDR or STR: these cores take unaligned words. */
TG_INLINE uint32_t tg_load_word(const void *bytes)
{
    uint32_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

TG_INLINE void tg_store_word(void *bytes, uint32_t word)
{
    memcpy(bytes, &word, sizeof word);
}

/* Brings bytes 1 and 3 to where SXTB16 looks. */
TG_INLINE uint32_t tg_rotate_8(uint32_t x)
{
    return (x >> 8) | (x << 24);
}

/* The same 16-bit value in both lanes. */
TG_INLINE uint32_t tg_both_lanes(int32_t value)
{
    return ((uint32_t)value & 0xFFFFu) * 0x00010001u;
}

#if TG_DSP_ASSEMBLY

#include <arm_acle.h>

/* Defines `name`(x): one instruction of one register. */
#define TG_DSP_1(name, text)                                      \
    TG_INLINE uint32_t name(uint32_t x)                           \
    {                                                             \
        uint32_t result;                                          \
        __asm__(text : "=r"(result) : "r"(x));                    \
        return result;                                            \
    }

/* Defines `name`(x, y): one instruction of two registers. */
#define TG_DSP_2(name, text)                                      \
    TG_INLINE uint32_t name(uint32_t x, uint32_t y)               \
    {                                                             \
        uint32_t result;                                          \
        __asm__(text : "=r"(result) : "r"(x), "r"(y));            \
        return result;                                            \
    }

/* Defines `name`(x, y, acc): one multiply-accumulate. */
#define TG_DSP_MAC(name, text)                                    \
    TG_INLINE int32_t name(uint32_t x, uint32_t y, int32_t acc)   \
    {                                                             \
        int32_t result;                                           \
        __asm__(text : "=r"(result) : "r"(x), "r"(y), "r"(acc));  \
        return result;                                            \
    }

/* acc + low * low + high * high; acc + the product of x's low (b) or high (t) lane and y's. */
TG_DSP_MAC(tg_smlad, "smlad %0, %1, %2, %3")
TG_DSP_MAC(tg_smlabb, "smlabb %0, %1, %2, %3")
TG_DSP_MAC(tg_smlabt, "smlabt %0, %1, %2, %3")
TG_DSP_MAC(tg_smlatb, "smlatb %0, %1, %2, %3")

/* x's low lane below y's; x's high lane below y's. */
TG_DSP_2(tg_low_lanes, "pkhbt %0, %1, %2, lsl #16")
TG_DSP_2(tg_high_lanes, "pkhtb %0, %2, %1, asr #16")

/* Lane by lane: sum, difference, half the sum. */
TG_DSP_2(tg_sadd16, "sadd16 %0, %1, %2")
TG_DSP_2(tg_ssub16, "ssub16 %0, %1, %2")
TG_DSP_2(tg_shadd16, "shadd16 %0, %1, %2")

/* Bytes 0 and 2 (even) or 1 and 3 (odd) in 16 bits, with their sign; added to the lanes of x; without sign. */
TG_DSP_1(tg_sxtb16, "sxtb16 %0, %1")
TG_DSP_1(tg_sxtb16_odd, "sxtb16 %0, %1, ror #8")
TG_DSP_2(tg_sxtab16, "sxtab16 %0, %1, %2")
TG_DSP_2(tg_sxtab16_odd, "sxtab16 %0, %1, %2, ror #8")
TG_DSP_1(tg_uxtb16, "uxtb16 %0, %1")
TG_DSP_1(tg_uxtb16_odd, "uxtb16 %0, %1, ror #8")

/* Both lanes clamped to -2^(bits - 1) ... 2^(bits - 1) - 1; bits is constant, 1 to 16. */
TG_INLINE uint32_t tg_ssat16(uint32_t x, int32_t bits)
{
    uint32_t result;
    __asm__("ssat16 %0, %1, %2" : "=r"(result) : "i"(bits), "r"(x));
    return result;
}

/* round_half_up(x * y / 2^32). */
TG_INLINE int32_t tg_smmulr(int32_t x, int32_t y)
{
    int32_t result;
    __asm__("smmulr %0, %1, %2" : "=r"(result) : "r"(x), "r"(y));
    return result;
}

/* round_half_up(x * y / 2^32) + z. */
TG_INLINE int32_t tg_smmlar(int32_t x, int32_t y, int32_t z)
{
    int32_t result;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(result) : "r"(x), "r"(y), "r"(z));
    return result;
}

/* x as the nearest byte. */
TG_INLINE int8_t tg_ssat_8(int32_t x)
{
    int32_t result;
    __asm__("ssat %0, #8, %1" : "=r"(result) : "r"(x));
    return (int8_t)result;
}

/* x >> shift as the nearest byte; the shift is constant, 1 to 31. */
TG_INLINE int8_t tg_ssat_8_asr(int32_t x, int32_t shift)
{
    int32_t result;
    __asm__("ssat %0, #8, %1, asr %2" : "=r"(result) : "r"(x), "i"(shift));
    return (int8_t)result;
}

/* The larger and the smaller of four signed bytes; SSUB8 sets the flags that SEL reads. */
TG_INLINE uint32_t tg_max_4(uint32_t x, uint32_t y)
{
    uint32_t result;
    __asm__("ssub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(result) : "r"(x), "r"(y) : "cc");
    return result;
}

TG_INLINE uint32_t tg_min_4(uint32_t x, uint32_t y)
{
    uint32_t result;
    __asm__("ssub8 %0, %1, %2\n\tsel %0, %2, %1" : "=&r"(result) : "r"(x), "r"(y) : "cc");
    return result;
}

/* Byte by byte: that of `codes` where `drawn` >= `thresholds`, unsigned, otherwise that of `others`. */
TG_INLINE uint32_t tg_where_not_below(uint32_t drawn, uint32_t thresholds, uint32_t codes, uint32_t others)
{
    uint32_t result;
    __asm__("usub8 %0, %1, %2\n\tsel %0, %3, %4"
            : "=&r"(result)
            : "r"(drawn), "r"(thresholds), "r"(codes), "r"(others)
            : "cc");
    return result;
}

TG_INLINE uint32_t tg_sadd16_acle(uint32_t x, uint32_t y)
{
    return (uint32_t)__sadd16((int16x2_t)x, (int16x2_t)y);
}

TG_INLINE uint32_t tg_ssub16_acle(uint32_t x, uint32_t y)
{
    return (uint32_t)__ssub16((int16x2_t)x, (int16x2_t)y);
}

TG_INLINE uint32_t tg_sxtb16_acle(uint32_t x)
{
    return (uint32_t)__sxtb16((int8x4_t)x);
}

TG_INLINE uint32_t tg_sxtab16_acle(uint32_t sums, uint32_t x)
{
    return (uint32_t)__sxtab16((int16x2_t)sums, (int8x4_t)x);
}

TG_INLINE int32_t tg_smlad_acle(uint32_t x, uint32_t y, int32_t acc)
{
    return __smlad((int16x2_t)x, (int16x2_t)y, acc);
}

TG_INLINE int32_t tg_smlabb_acle(uint32_t x, uint32_t y, int32_t acc)
{
    return __smlabb((int32_t)x, (int32_t)y, acc);
}

TG_INLINE int32_t tg_smlatt_acle(uint32_t x, uint32_t y, int32_t acc)
{
    return __smlatt((int32_t)x, (int32_t)y, acc);
}

/* acc + low * low + high * high, in 64 bits. */
TG_INLINE int64_t tg_smlald_acle(uint32_t x, uint32_t y, int64_t acc)
{
    return __smlald((int16x2_t)x, (int16x2_t)y, acc);
}

#else

TG_INLINE int32_t tg_low_lane(uint32_t x)
{
    return (int16_t)(x & 0xFFFFu);
}

TG_INLINE int32_t tg_high_lane(uint32_t x)
{
    return (int16_t)(x >> 16);
}

TG_INLINE uint32_t tg_lanes(int32_t low, int32_t high)
{
    return ((uint32_t)low & 0xFFFFu) | ((uint32_t)high << 16);
}

/* Sums wrap as the registers do. */
TG_INLINE int32_t tg_wrapping_sum(int32_t acc, int32_t product)
{
    return (int32_t)((uint32_t)acc + (uint32_t)product);
}

TG_INLINE int32_t tg_smlabb(uint32_t x, uint32_t y, int32_t acc)
{
    return tg_wrapping_sum(acc, tg_low_lane(x) * tg_low_lane(y));
}

TG_INLINE int32_t tg_smlabt(uint32_t x, uint32_t y, int32_t acc)
{
    return tg_wrapping_sum(acc, tg_low_lane(x) * tg_high_lane(y));
}

TG_INLINE int32_t tg_smlatb(uint32_t x, uint32_t y, int32_t acc)
{
    return tg_wrapping_sum(acc, tg_high_lane(x) * tg_low_lane(y));
}

TG_INLINE int32_t tg_smlatt_acle(uint32_t x, uint32_t y, int32_t acc)
{
    return tg_wrapping_sum(acc, tg_high_lane(x) * tg_high_lane(y));
}

TG_INLINE int32_t tg_smlad(uint32_t x, uint32_t y, int32_t acc)
{
    return tg_smlatt_acle(x, y, tg_smlabb(x, y, acc));
}

TG_INLINE int64_t tg_smlald_acle(uint32_t x, uint32_t y, int64_t acc)
{
    return acc + tg_low_lane(x) * tg_low_lane(y) + (int64_t)tg_high_lane(x) * tg_high_lane(y);
}

TG_INLINE uint32_t tg_low_lanes(uint32_t x, uint32_t y)
{
    return (x & 0xFFFFu) | (y << 16);
}

TG_INLINE uint32_t tg_high_lanes(uint32_t x, uint32_t y)
{
    return (x >> 16) | (y & 0xFFFF0000u);
}

TG_INLINE uint32_t tg_sadd16(uint32_t x, uint32_t y)
{
    return tg_lanes(tg_low_lane(x) + tg_low_lane(y), tg_high_lane(x) + tg_high_lane(y));
}

TG_INLINE uint32_t tg_ssub16(uint32_t x, uint32_t y)
{
    return tg_lanes(tg_low_lane(x) - tg_low_lane(y), tg_high_lane(x) - tg_high_lane(y));
}

TG_INLINE uint32_t tg_shadd16(uint32_t x, uint32_t y)
{
    return tg_lanes((tg_low_lane(x) + tg_low_lane(y)) >> 1, (tg_high_lane(x) + tg_high_lane(y)) >> 1);
}

TG_INLINE uint32_t tg_sxtb16(uint32_t x)
{
    return tg_lanes((int8_t)(x & 0xFFu), (int8_t)((x >> 16) & 0xFFu));
}

TG_INLINE uint32_t tg_sxtb16_odd(uint32_t x)
{
    return tg_sxtb16(x >> 8);
}

TG_INLINE uint32_t tg_sxtab16(uint32_t sums, uint32_t x)
{
    return tg_sadd16(sums, tg_sxtb16(x));
}

TG_INLINE uint32_t tg_sxtab16_odd(uint32_t sums, uint32_t x)
{
    return tg_sadd16(sums, tg_sxtb16_odd(x));
}

TG_INLINE uint32_t tg_uxtb16(uint32_t x)
{
    return x & 0x00FF00FFu;
}

TG_INLINE uint32_t tg_uxtb16_odd(uint32_t x)
{
    return (x >> 8) & 0x00FF00FFu;
}

TG_INLINE uint32_t tg_ssat16(uint32_t x, int32_t bits)
{
    const int32_t most = (1 << (bits - 1)) - 1;
    return tg_lanes(tg_clamp(tg_low_lane(x), -most - 1, most), tg_clamp(tg_high_lane(x), -most - 1, most));
}

TG_INLINE int32_t tg_smmulr(int32_t x, int32_t y)
{
    return (int32_t)(((int64_t)x * y + ((int64_t)1 << 31)) >> 32);
}

TG_INLINE int32_t tg_smmlar(int32_t x, int32_t y, int32_t z)
{
    return tg_wrapping_sum(z, tg_smmulr(x, y));
}

TG_INLINE int8_t tg_ssat_8(int32_t x)
{
    return (int8_t)tg_clamp(x, INT8_MIN, INT8_MAX);
}

TG_INLINE int8_t tg_ssat_8_asr(int32_t x, int32_t shift)
{
    return tg_ssat_8(x >> shift);
}

TG_INLINE uint32_t tg_where_not_below(uint32_t drawn, uint32_t thresholds, uint32_t codes, uint32_t others)
{
    uint32_t result = 0;
    for (int32_t k = 0; k < 32; k += 8) {
        const uint32_t chosen = ((drawn >> k) & 0xFFu) >= ((thresholds >> k) & 0xFFu) ? codes : others;
        result |= chosen & (0xFFu << k);
    }
    return result;
}

#define TG_DSP_BYTES(name, test)                                              \
    TG_INLINE uint32_t name(uint32_t x, uint32_t y)                           \
    {                                                                         \
        uint32_t result = 0;                                                  \
        for (int32_t k = 0; k < 32; k += 8) {                                 \
            const int32_t a = (int8_t)((x >> k) & 0xFFu);                     \
            const int32_t b = (int8_t)((y >> k) & 0xFFu);                     \
            result |= ((uint32_t)((a test b) ? a : b) & 0xFFu) << k;          \
        }                                                                     \
        return result;                                                        \
    }

TG_DSP_BYTES(tg_max_4, >)
TG_DSP_BYTES(tg_min_4, <)

#define tg_sadd16_acle tg_sadd16
#define tg_ssub16_acle tg_ssub16
#define tg_sxtb16_acle tg_sxtb16
#define tg_sxtab16_acle tg_sxtab16
#define tg_smlad_acle tg_smlad
#define tg_smlabb_acle tg_smlabb

#endif
#endif
