/* SPDX-License-Identifier: Apache-2.0 */
/* The port's one struct, and what a family provides to cortex_m/port.c and startup.c. */
#ifndef TINYGUARD_PORT_STATE_H
#define TINYGUARD_PORT_STATE_H

#include "board.h"
#include "tinyguard/port.h"

#define TG_LINK __attribute__((section(".tg_link"), aligned(8)))

#define TG_REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

typedef struct {
    tg_counter_calibration calibration;
    uint32_t clock_hz;
    uint32_t baud;
    uint32_t counter_high; /* wraps of the hardware counter */
    uint32_t counter_last; /* last value read, where wraps are told by comparing */
    volatile uint32_t head; /* written by the interrupt; both run freely and are masked on use */
    volatile uint32_t tail; /* written by tg_port_read */
    volatile uint32_t overruns;
    volatile uint8_t ring[TG_RING_BYTES];
} tg_port_state;

_Static_assert(sizeof(tg_port_state) == TG_PORT_STATE_BYTES, "board.h and tg_port_state disagree");
_Static_assert((TG_RING_BYTES & (TG_RING_BYTES - 1)) == 0, "the ring is masked, so a power of two");

extern tg_port_state tg_port;

/* Called from the receive interrupt only. */
static inline void tg_ring_push(uint8_t byte) {
    const uint32_t head = tg_port.head;

    if (head - tg_port.tail >= TG_RING_BYTES) {
        tg_port.overruns++;
        return;
    }
    tg_port.ring[head & (TG_RING_BYTES - 1)] = byte;
    tg_port.head = head + 1;
}

/* Returns the previous state for tg_interrupts_restore. */
static inline uint32_t tg_interrupts_off(void) {
    uint32_t mask;

    __asm volatile("mrs %0, primask\n\tcpsid i" : "=r"(mask)::"memory");
    return mask;
}

static inline void tg_interrupts_restore(uint32_t mask) {
    __asm volatile("msr primask, %0" ::"r"(mask) : "memory");
}

static inline void tg_interrupt_enable(uint32_t irq) {
    TG_REGISTER(0xE000E100u + 4u * (irq / 32u)) = 1u << (irq % 32u);
}

/* From a family: bring up clocks and caches; every wait is bounded. Returns the core's true clock in Hz. */
uint32_t tg_clock_init(void);

/* From a family: pins, TG_BAUD, receive interrupt on. */
void tg_uart_init(void);

/* From a family: wait (bounded) until the last byte is out, then change; false leaves the rate as it was. */
bool tg_uart_set_baud(uint32_t baud);

/* From a family: hand over one byte, return once there is room for the next. */
void tg_uart_send(uint8_t byte);

/* From a family: handler of interrupt TG_UART_IRQ; pushes what has arrived. */
void tg_uart_interrupt(void);

/* From the counter: start it and set calibration.kind. */
void tg_counter_init(void);

/* From the counter: handler of its wrap interrupt. */
void tg_counter_interrupt(void);

#endif
