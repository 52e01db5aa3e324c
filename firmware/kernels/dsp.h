/* SPDX-License-Identifier: Apache-2.0 */
/* The SMLAD family of M4, M7, M33 and M55, two 16-bit lanes a word.

   TG_DSP is 1 where the core has it. Defining TG_DSP_IN_C on any other machine runs the DSP kernels
   on C equivalents, so that the host tests them under its sanitizers. */
#ifndef TG_DSP_H
#define TG_DSP_H

#include <stdint.h>
#include <string.h>

#include "fixed_point.h"

#if defined(__ARM_FEATURE_DSP)
#define TG_DSP 1
#include <arm_acle.h>

/* Bytes 0 and 2, sign-extended. */
TG_INLINE uint32_t tg_sxtb16(uint32_t x)
{
    return (uint32_t)__sxtb16((int8x4_t)x);
}

/* The same, added to the lanes of `sums`. */
TG_INLINE uint32_t tg_sxtab16(uint32_t sums, uint32_t x)
{
    return (uint32_t)__sxtab16((int16x2_t)sums, (int8x4_t)x);
}

/* acc + low * low + high * high. */
TG_INLINE int32_t tg_smlad(uint32_t x, uint32_t y, int32_t acc)
{
    return __smlad((int16x2_t)x, (int16x2_t)y, acc);
}

TG_INLINE int64_t tg_smlald(uint32_t x, uint32_t y, int64_t acc)
{
    return __smlald((int16x2_t)x, (int16x2_t)y, acc);
}

/* acc + low * low; acc + high * high. */
TG_INLINE int32_t tg_smlabb(uint32_t x, uint32_t y, int32_t acc)
{
    return __smlabb((int32_t)x, (int32_t)y, acc);
}

TG_INLINE int32_t tg_smlatt(uint32_t x, uint32_t y, int32_t acc)
{
    return __smlatt((int32_t)x, (int32_t)y, acc);
}

#elif defined(TG_DSP_IN_C)
#define TG_DSP 1

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

TG_INLINE uint32_t tg_sxtb16(uint32_t x)
{
    return tg_lanes((int8_t)(x & 0xFFu), (int8_t)((x >> 16) & 0xFFu));
}

TG_INLINE uint32_t tg_sxtab16(uint32_t sums, uint32_t x)
{
    const uint32_t wide = tg_sxtb16(x);
    return tg_lanes(tg_low_lane(sums) + tg_low_lane(wide), tg_high_lane(sums) + tg_high_lane(wide));
}

TG_INLINE int32_t tg_smlabb(uint32_t x, uint32_t y, int32_t acc)
{
    return acc + tg_low_lane(x) * tg_low_lane(y);
}

TG_INLINE int32_t tg_smlatt(uint32_t x, uint32_t y, int32_t acc)
{
    return acc + tg_high_lane(x) * tg_high_lane(y);
}

TG_INLINE int32_t tg_smlad(uint32_t x, uint32_t y, int32_t acc)
{
    return tg_smlatt(x, y, tg_smlabb(x, y, acc));
}

TG_INLINE int64_t tg_smlald(uint32_t x, uint32_t y, int64_t acc)
{
    return acc + tg_low_lane(x) * tg_low_lane(y) + (int64_t)tg_high_lane(x) * tg_high_lane(y);
}

#else
#define TG_DSP 0
#endif

#if TG_DSP

/* One LDR: these cores load unaligned words. */
TG_INLINE uint32_t tg_load_word(const void *bytes)
{
    uint32_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

/* Brings bytes 1 and 3 to where tg_sxtb16 looks. */
TG_INLINE uint32_t tg_rotate_8(uint32_t x)
{
    return (x >> 8) | (x << 24);
}

/* The same 16-bit value in both lanes. */
TG_INLINE uint32_t tg_both_lanes(int32_t value)
{
    return ((uint32_t)value & 0xFFFFu) * 0x00010001u;
}

#endif
#endif
