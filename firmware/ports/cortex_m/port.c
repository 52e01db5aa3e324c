/* SPDX-License-Identifier: Apache-2.0 */
/* Receive ring, sleep, reset and calibration: the same on every Cortex-M. */
#include "state.h"

#define AIRCR TG_REGISTER(0xE000ED0Cu)
#define AIRCR_RESET 0x05FA0004u

#define CALIBRATION_ROUNDS 32768u
#define INSTRUCTIONS_PER_ROUND 2u

TG_LINK tg_port_state tg_port;

static void run_known_loop(uint32_t rounds) {
    __asm volatile(".syntax unified\n"
                   ".balign 8\n"
                   "1:\n\t"
                   "subs %0, %0, #1\n\t"
                   "bne 1b"
                   : "+l"(rounds)
                   :
                   : "cc");
}

static void calibrate(void) {
    const uint32_t mask = tg_interrupts_off();
    const uint64_t empty_start = tg_port_counter_read();
    const uint64_t start = tg_port_counter_read();

    run_known_loop(CALIBRATION_ROUNDS);
    const uint64_t end = tg_port_counter_read();

    tg_interrupts_restore(mask);
    tg_port.calibration.instructions = CALIBRATION_ROUNDS * INSTRUCTIONS_PER_ROUND;
    tg_port.calibration.ticks = (uint32_t)((end - start) - (start - empty_start));
}

void tg_port_init(void) {
    tg_port.clock_hz = tg_clock_init();
    tg_counter_init();
    calibrate();
    tg_uart_init();
    tg_interrupt_enable(TG_UART_IRQ);
}

size_t tg_port_read(uint8_t *bytes, size_t max) {
    const uint32_t head = tg_port.head;
    uint32_t tail = tg_port.tail;
    size_t count = 0;

    while (count < max && tail != head) {
        bytes[count++] = tg_port.ring[tail & (TG_RING_BYTES - 1)];
        tail++;
    }
    tg_port.tail = tail;
    return count;
}

void tg_port_write(const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        tg_uart_send(bytes[i]);
    }
}

void tg_port_wait(void) {
    /* With interrupts masked WFI still wakes for a pending one, so a byte that arrives between the
       look and the sleep is not slept through. */
    const uint32_t mask = tg_interrupts_off();

    if (tg_port.head == tg_port.tail) {
        __asm volatile("dsb\n\twfi" ::: "memory");
    }
    tg_interrupts_restore(mask);
    __asm volatile("isb" ::: "memory");
}

bool tg_port_set_baud(uint32_t baud) {
    if (baud == 0 || !tg_uart_set_baud(baud)) {
        return false;
    }
    tg_port.baud = baud;
    return true;
}

uint32_t tg_port_clock_hz(void) {
    return tg_port.clock_hz;
}

uint32_t tg_port_overruns(void) {
    return tg_port.overruns;
}

tg_counter_calibration tg_port_calibration(void) {
    return tg_port.calibration;
}

/* Ports of chips with a generator have their own. */
__attribute__((weak)) bool tg_port_random(uint32_t *word) {
    (void)word;
    return false;
}

void tg_port_reset(void) {
    __asm volatile("dsb" ::: "memory");
    AIRCR = AIRCR_RESET;
    __asm volatile("dsb" ::: "memory");
    for (;;) {
    }
}
