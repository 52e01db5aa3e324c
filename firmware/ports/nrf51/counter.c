/* SPDX-License-Identifier: Apache-2.0 */
/* TIMER0 at 16 MHz, 32 bits, extended by comparing successive readings. */
#include "state.h"

#define START TG_REGISTER(TG_COUNTER_BASE + 0x000u)
#define STOP TG_REGISTER(TG_COUNTER_BASE + 0x004u)
#define CLEAR TG_REGISTER(TG_COUNTER_BASE + 0x00Cu)
#define CAPTURE0 TG_REGISTER(TG_COUNTER_BASE + 0x040u)
#define COMPARE(channel) TG_REGISTER(TG_COUNTER_BASE + 0x140u + 4u * (channel))
#define INTENSET TG_REGISTER(TG_COUNTER_BASE + 0x304u)
#define MODE TG_REGISTER(TG_COUNTER_BASE + 0x504u)
#define BITMODE TG_REGISTER(TG_COUNTER_BASE + 0x508u)
#define PRESCALER TG_REGISTER(TG_COUNTER_BASE + 0x510u)
#define CC(channel) TG_REGISTER(TG_COUNTER_BASE + 0x540u + 4u * (channel))
#define MODE_TIMER 0u
#define BITMODE_32 3u
#define INT_COMPARE(channel) (1u << (16u + (channel)))

void tg_counter_init(void) {
    tg_port.calibration.kind = TG_COUNTER_TICKS;
    STOP = 1;
    CLEAR = 1;
    MODE = MODE_TIMER;
    BITMODE = BITMODE_32;
    PRESCALER = 0;
    /* Two interrupts per turn, so that two readings are never a whole turn apart. */
    CC(1) = 0x40000000u;
    CC(2) = 0xC0000000u;
    INTENSET = INT_COMPARE(1u) | INT_COMPARE(2u);
    START = 1;
    tg_interrupt_enable(TG_COUNTER_IRQ);
}

uint64_t tg_port_counter_read(void) {
    const uint32_t mask = tg_interrupts_off();

    CAPTURE0 = 1;
    const uint32_t now = CC(0);
    if (now < tg_port.counter_last) {
        tg_port.counter_high++;
    }
    tg_port.counter_last = now;
    const uint64_t count = ((uint64_t)tg_port.counter_high << 32) | now;
    tg_interrupts_restore(mask);
    return count;
}

void tg_counter_interrupt(void) {
    COMPARE(1u) = 0;
    COMPARE(2u) = 0;
    (void)tg_port_counter_read();
}
