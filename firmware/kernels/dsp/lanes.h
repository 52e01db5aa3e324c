/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions on 16-bit lanes that the DSP kernels for planes, pools and sums use, each behind a C form.
   dsp.h has the ones of the dot products; these need no TG_DSP_IN_C to run on other machines. */
#ifndef TG_DSP_LANES_H
#define TG_DSP_LANES_H

#include <stdint.h>
#include <string.h>

#include "fixed_point.h"

/* One LDR or STR: these cores take unaligned words. */
TG_INLINE uint32_t tg_lane_load(const void *bytes)
{
    uint32_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

TG_INLINE void tg_lane_store(void *bytes, uint32_t word)
{
    memcpy(bytes, &word, sizeof word);
}

/* The C forms also serve builds without optimization, where operands of the assembly are no constants. */
#if defined(__ARM_FEATURE_DSP) && defined(__OPTIMIZE__)
#define TG_LANE_ASSEMBLY 1
#else
#define TG_LANE_ASSEMBLY 0
#endif

#if TG_LANE_ASSEMBLY

/* Defines `name`(x, y): one instruction of two registers. */
#define TG_LANE_2(name, text)                                     \
    TG_INLINE uint32_t name(uint32_t x, uint32_t y)               \
    {                                                             \
        uint32_t result;                                          \
        __asm__(text : "=r"(result) : "r"(x), "r"(y));            \
        return result;                                            \
    }

/* Defines `name`(x, y, acc): one multiply-accumulate. */
#define TG_LANE_MAC(name, text)                                   \
    TG_INLINE int32_t name(uint32_t x, uint32_t y, int32_t acc)   \
    {                                                             \
        int32_t result;                                           \
        __asm__(text : "=r"(result) : "r"(x), "r"(y), "r"(acc));  \
        return result;                                            \
    }

TG_LANE_MAC(tg_lane_smlad, "smlad %0, %1, %2, %3")
TG_LANE_MAC(tg_lane_smlabb, "smlabb %0, %1, %2, %3")
TG_LANE_MAC(tg_lane_smlabt, "smlabt %0, %1, %2, %3")
TG_LANE_MAC(tg_lane_smlatb, "smlatb %0, %1, %2, %3")
TG_LANE_2(tg_lane_low_low, "pkhbt %0, %1, %2, lsl #16")
TG_LANE_2(tg_lane_high_high, "pkhtb %0, %2, %1, asr #16")
TG_LANE_2(tg_lane_add, "sadd16 %0, %1, %2")
TG_LANE_2(tg_lane_sub, "ssub16 %0, %1, %2")
TG_LANE_2(tg_lane_halved_sum, "shadd16 %0, %1, %2")
TG_LANE_2(tg_lane_add_even, "sxtab16 %0, %1, %2")
TG_LANE_2(tg_lane_add_odd, "sxtab16 %0, %1, %2, ror #8")

/* Bytes 0 and 2 sign-extended; bytes 1 and 3. */
TG_INLINE uint32_t tg_lane_even(uint32_t x)
{
    uint32_t result;
    __asm__("sxtb16 %0, %1" : "=r"(result) : "r"(x));
    return result;
}

TG_INLINE uint32_t tg_lane_odd(uint32_t x)
{
    uint32_t result;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(result) : "r"(x));
    return result;
}

/* Both lanes clamped to -2^(bits - 1) ... 2^(bits - 1) - 1; bits is constant, 1 to 16. */
TG_INLINE uint32_t tg_lane_saturate_2(uint32_t x, int32_t bits)
{
    uint32_t result;
    __asm__("ssat16 %0, %1, %2" : "=r"(result) : "i"(bits), "r"(x));
    return result;
}

/* Bytes 0 and 2 zero-extended; bytes 1 and 3. */
TG_INLINE uint32_t tg_lane_even_unsigned(uint32_t x)
{
    uint32_t result;
    __asm__("uxtb16 %0, %1" : "=r"(result) : "r"(x));
    return result;
}

TG_INLINE uint32_t tg_lane_odd_unsigned(uint32_t x)
{
    uint32_t result;
    __asm__("uxtb16 %0, %1, ror #8" : "=r"(result) : "r"(x));
    return result;
}

/* round_half_up(x * y / 2^32) + z. */
TG_INLINE int32_t tg_lane_smmlar(int32_t x, int32_t y, int32_t z)
{
    int32_t result;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(result) : "r"(x), "r"(y), "r"(z));
    return result;
}

TG_INLINE int8_t tg_lane_saturate(int32_t x)
{
    int32_t result;
    __asm__("ssat %0, #8, %1" : "=r"(result) : "r"(x));
    return (int8_t)result;
}

/* x >> shift, saturated; the shift is constant, 1 to 31. */
TG_INLINE int8_t tg_lane_saturate_shifted(int32_t x, int32_t shift)
{
    int32_t result;
    __asm__("ssat %0, #8, %1, asr %2" : "=r"(result) : "r"(x), "i"(shift));
    return (int8_t)result;
}

/* The larger and the smaller of four signed bytes; SSUB8 sets the flags that SEL reads. */
TG_INLINE uint32_t tg_lane_max_4(uint32_t x, uint32_t y)
{
    uint32_t result;
    __asm__("ssub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(result) : "r"(x), "r"(y) : "cc");
    return result;
}

TG_INLINE uint32_t tg_lane_min_4(uint32_t x, uint32_t y)
{
    uint32_t result;
    __asm__("ssub8 %0, %1, %2\n\tsel %0, %2, %1" : "=&r"(result) : "r"(x), "r"(y) : "cc");
    return result;
}

/* Byte by byte: that of `codes` where `drawn` >= `thresholds`, unsigned, otherwise that of `others`. */
TG_INLINE uint32_t tg_lane_where_not_below(uint32_t drawn, uint32_t thresholds, uint32_t codes, uint32_t others)
{
    uint32_t result;
    __asm__("usub8 %0, %1, %2\n\tsel %0, %3, %4"
            : "=&r"(result)
            : "r"(drawn), "r"(thresholds), "r"(codes), "r"(others)
            : "cc");
    return result;
}

#else

TG_INLINE int32_t tg_lane_low(uint32_t x)
{
    return (int16_t)(x & 0xFFFFu);
}

TG_INLINE int32_t tg_lane_high(uint32_t x)
{
    return (int16_t)(x >> 16);
}

TG_INLINE uint32_t tg_lane_pair(int32_t low, int32_t high)
{
    return ((uint32_t)low & 0xFFFFu) | ((uint32_t)high << 16);
}

TG_INLINE uint32_t tg_lane_even(uint32_t x)
{
    return tg_lane_pair((int8_t)(x & 0xFFu), (int8_t)((x >> 16) & 0xFFu));
}

TG_INLINE uint32_t tg_lane_odd(uint32_t x)
{
    return tg_lane_even(x >> 8);
}

TG_INLINE uint32_t tg_lane_low_low(uint32_t x, uint32_t y)
{
    return (x & 0xFFFFu) | (y << 16);
}

TG_INLINE uint32_t tg_lane_high_high(uint32_t x, uint32_t y)
{
    return (x >> 16) | (y & 0xFFFF0000u);
}

TG_INLINE uint32_t tg_lane_add(uint32_t x, uint32_t y)
{
    return tg_lane_pair(tg_lane_low(x) + tg_lane_low(y), tg_lane_high(x) + tg_lane_high(y));
}

TG_INLINE uint32_t tg_lane_sub(uint32_t x, uint32_t y)
{
    return tg_lane_pair(tg_lane_low(x) - tg_lane_low(y), tg_lane_high(x) - tg_lane_high(y));
}

TG_INLINE uint32_t tg_lane_halved_sum(uint32_t x, uint32_t y)
{
    return tg_lane_pair((tg_lane_low(x) + tg_lane_low(y)) >> 1, (tg_lane_high(x) + tg_lane_high(y)) >> 1);
}

TG_INLINE uint32_t tg_lane_saturate_2(uint32_t x, int32_t bits)
{
    const int32_t most = (1 << (bits - 1)) - 1;
    return tg_lane_pair(tg_clamp(tg_lane_low(x), -most - 1, most), tg_clamp(tg_lane_high(x), -most - 1, most));
}

TG_INLINE uint32_t tg_lane_even_unsigned(uint32_t x)
{
    return x & 0x00FF00FFu;
}

TG_INLINE uint32_t tg_lane_odd_unsigned(uint32_t x)
{
    return (x >> 8) & 0x00FF00FFu;
}

TG_INLINE uint32_t tg_lane_add_even(uint32_t sums, uint32_t x)
{
    return tg_lane_add(sums, tg_lane_even(x));
}

TG_INLINE uint32_t tg_lane_add_odd(uint32_t sums, uint32_t x)
{
    return tg_lane_add(sums, tg_lane_odd(x));
}

/* Sums wrap as the registers do. */
TG_INLINE int32_t tg_lane_sum(int32_t acc, int32_t product)
{
    return (int32_t)((uint32_t)acc + (uint32_t)product);
}

TG_INLINE int32_t tg_lane_smlabb(uint32_t x, uint32_t y, int32_t acc)
{
    return tg_lane_sum(acc, tg_lane_low(x) * tg_lane_low(y));
}

TG_INLINE int32_t tg_lane_smlabt(uint32_t x, uint32_t y, int32_t acc)
{
    return tg_lane_sum(acc, tg_lane_low(x) * tg_lane_high(y));
}

TG_INLINE int32_t tg_lane_smlatb(uint32_t x, uint32_t y, int32_t acc)
{
    return tg_lane_sum(acc, tg_lane_high(x) * tg_lane_low(y));
}

TG_INLINE int32_t tg_lane_smlad(uint32_t x, uint32_t y, int32_t acc)
{
    return tg_lane_sum(tg_lane_smlabb(x, y, acc), tg_lane_high(x) * tg_lane_high(y));
}

TG_INLINE int32_t tg_lane_smmlar(int32_t x, int32_t y, int32_t z)
{
    return (int32_t)((((int64_t)x * y + ((int64_t)1 << 31)) >> 32) + z);
}

TG_INLINE int8_t tg_lane_saturate(int32_t x)
{
    return (int8_t)tg_clamp(x, INT8_MIN, INT8_MAX);
}

TG_INLINE int8_t tg_lane_saturate_shifted(int32_t x, int32_t shift)
{
    return tg_lane_saturate(x >> shift);
}

TG_INLINE uint32_t tg_lane_where_not_below(uint32_t drawn, uint32_t thresholds, uint32_t codes, uint32_t others)
{
    uint32_t result = 0;
    for (int32_t k = 0; k < 32; k += 8) {
        const uint32_t chosen = ((drawn >> k) & 0xFFu) >= ((thresholds >> k) & 0xFFu) ? codes : others;
        result |= chosen & (0xFFu << k);
    }
    return result;
}

#define TG_LANE_BYTES(name, test)                                             \
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

TG_LANE_BYTES(tg_lane_max_4, >)
TG_LANE_BYTES(tg_lane_min_4, <)

#endif

/* An accumulator, doubled, to an int8 code in five instructions. `round` is half of 2^shift plus the zero
   point times 2^shift; exact for shift > 0 and |doubled| < 2^31 (see kernels/dsp/requantize.py). */
TG_INLINE int8_t tg_lane_requantize(int32_t doubled, int32_t multiplier, int32_t round, int32_t shift)
{
    const int32_t sign = doubled >> 31; /* ties go away from zero */
    return tg_lane_saturate((tg_lane_smmlar(doubled, multiplier, round) + sign) >> (shift & 31));
}

/* The same for a constant shift: three instructions. */
TG_INLINE int8_t tg_lane_requantize_fixed(int32_t doubled, int32_t multiplier, int32_t round, int32_t shift)
{
    const int32_t sign = doubled >> 31;
    return tg_lane_saturate_shifted(tg_lane_smmlar(doubled, multiplier, round) + sign, shift);
}

/* Clamps `count` codes to a range inside int8's. */
TG_INLINE void tg_lane_clamp(int8_t *codes, int32_t count, int32_t low, int32_t high)
{
    const uint32_t lows = ((uint32_t)low & 0xFFu) * 0x01010101u;
    const uint32_t highs = ((uint32_t)high & 0xFFu) * 0x01010101u;
    int32_t i = 0;
    for (; i + 4 <= count; i += 4) {
        tg_lane_store(codes + i, tg_lane_min_4(tg_lane_max_4(tg_lane_load(codes + i), lows), highs));
    }
    for (; i < count; i++) {
        codes[i] = (int8_t)tg_clamp(codes[i], low, high);
    }
}

#endif
