/* SPDX-License-Identifier: Apache-2.0 */
#include "stack.h"

#include "tinyguard/port.h"

#define PAINT 0x54474B53u

/* Below the frame that paints: its own locals and whatever the compiler still pushes there. */
#define SPARED_BYTES 64u

static uintptr_t bottom(void)
{
    return (uintptr_t)tg_stack_bottom;
}

static uintptr_t top(void)
{
    return (uintptr_t)tg_stack_top;
}

uint32_t tg_stack_bytes(void)
{
    return (uint32_t)(top() - bottom());
}

uint32_t tg_stack_depth(void)
{
    const uintptr_t now = (uintptr_t)__builtin_frame_address(0);

    return now > bottom() && now <= top() ? (uint32_t)(top() - now) : 0;
}

__attribute__((noinline)) void tg_stack_paint(void)
{
    const uint32_t free_bytes = tg_stack_bytes() - tg_stack_depth();
    volatile uint32_t *word = tg_stack_bottom;

    for (uint32_t left = free_bytes; left >= SPARED_BYTES + sizeof(*word); left -= (uint32_t)sizeof(*word)) {
        *word++ = PAINT;
    }
}

uint32_t tg_stack_high_water(void)
{
    const volatile uint32_t *word = tg_stack_bottom;
    uint32_t left = tg_stack_bytes();

    while (left >= sizeof(*word) && *word == PAINT) {
        word++;
        left -= (uint32_t)sizeof(*word);
    }
    return left;
}
