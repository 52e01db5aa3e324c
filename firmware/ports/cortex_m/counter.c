/* SPDX-License-Identifier: Apache-2.0 */
/* DWT cycles where they count, else SysTick, both extended to 64 bits by the SysTick interrupt. */
#include "state.h"

#define SYST_CSR TG_REGISTER(0xE000E010u)
#define SYST_RVR TG_REGISTER(0xE000E014u)
#define SYST_CVR TG_REGISTER(0xE000E018u)
#define SYST_CSR_ENABLE 0x1u
#define SYST_CSR_TICKINT 0x2u
#define SYST_CSR_CORE_CLOCK 0x4u
#define SYST_PERIOD 0x1000000u

#define ICSR TG_REGISTER(0xE000ED04u)
#define ICSR_PENDSTSET (1u << 26)

#define DEMCR TG_REGISTER(0xE000EDFCu)
#define DEMCR_TRCENA (1u << 24)
#define DWT_CTRL TG_REGISTER(0xE0001000u)
#define DWT_CYCCNT TG_REGISTER(0xE0001004u)
#define DWT_LAR TG_REGISTER(0xE0001FB0u)
#define DWT_UNLOCK 0xC5ACCE55u

static bool cycle_counter_counts(void) {
#if defined(__ARM_ARCH_6M__)
    return false;
#else
    DEMCR |= DEMCR_TRCENA;
    DWT_LAR = DWT_UNLOCK;
    DWT_CYCCNT = 0;
    DWT_CTRL |= 1u;
    const uint32_t before = DWT_CYCCNT;
    __asm volatile("nop\n\tnop\n\tnop\n\tnop");
    return DWT_CYCCNT != before;
#endif
}

void tg_counter_init(void) {
    tg_port.calibration.kind = cycle_counter_counts() ? TG_COUNTER_CYCLES : TG_COUNTER_TICKS;
    SYST_RVR = SYST_PERIOD - 1u;
    SYST_CVR = 0;
    SYST_CSR = SYST_CSR_ENABLE | SYST_CSR_TICKINT | SYST_CSR_CORE_CLOCK;
}

/* Called with interrupts off. SysTick wraps 256 times in the time the cycle counter does once, so no wrap
   goes unseen. */
static uint64_t read_cycles(void) {
    const uint32_t now = DWT_CYCCNT;

    if (now < tg_port.counter_last) {
        tg_port.counter_high++;
    }
    tg_port.counter_last = now;
    return ((uint64_t)tg_port.counter_high << 32) | now;
}

/* Called with interrupts off. The interrupt becomes pending when the counter reaches 0, one tick before it
   reloads, so ticks are counted from 0. A wrap whose interrupt is still pending is counted here. */
static uint64_t read_ticks(void) {
    uint32_t value = SYST_CVR;
    uint32_t wraps = tg_port.counter_high;

    if (ICSR & ICSR_PENDSTSET) {
        value = SYST_CVR;
        wraps++;
    }
    return (uint64_t)wraps * SYST_PERIOD + (value ? SYST_PERIOD - value : 0u);
}

uint64_t tg_port_counter_read(void) {
    const uint32_t mask = tg_interrupts_off();
    const uint64_t count = tg_port.calibration.kind == TG_COUNTER_CYCLES ? read_cycles() : read_ticks();

    tg_interrupts_restore(mask);
    return count;
}

void tg_counter_interrupt(void) {
    if (tg_port.calibration.kind == TG_COUNTER_CYCLES) {
        (void)tg_port_counter_read();
    } else {
        tg_port.counter_high++;
    }
}
