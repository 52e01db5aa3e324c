/* SPDX-License-Identifier: Apache-2.0 */
/* What a microcontroller port provides to the runtime. One port a family, in firmware/ports/. */
#ifndef TINYGUARD_PORT_H
#define TINYGUARD_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What tg_port_counter_read counts. */
enum {
    TG_COUNTER_CYCLES = 1, /* core cycles (DWT) */
    TG_COUNTER_TICKS = 2   /* ticks of a timer; instructions follow from the calibration loop */
};

typedef struct {
    uint32_t kind;         /* TG_COUNTER_... */
    uint32_t instructions; /* executed by the calibration loop at boot */
    uint32_t ticks;        /* counted over that loop */
} tg_counter_calibration;

/* Clocks, caches, FPU, UART with its receive interrupt, counter. Called once, before anything else. */
void tg_port_init(void);

/* Take up to `max` received bytes out of the interrupt-filled ring; never blocks. */
size_t tg_port_read(uint8_t *bytes, size_t max);

/* Send all bytes; returns when the last one has left the transmitter's holding register. */
void tg_port_write(const uint8_t *bytes, size_t count);

/* Sleep (WFI) until something may have been received; returns at once when the ring is not empty. */
void tg_port_wait(void);

/* Change the baud rate once the transmitter is empty; false when the rate cannot be had. */
bool tg_port_set_baud(uint32_t baud);

uint32_t tg_port_clock_hz(void);

/* Bytes lost because the receive ring was full, since boot. */
uint32_t tg_port_overruns(void);

/* A free-running 64-bit count; its unit is told by the calibration. */
uint64_t tg_port_counter_read(void);
tg_counter_calibration tg_port_calibration(void);

/* Lowest and one-past-highest address of the stack, for painting and the high-water mark. */
extern uint32_t tg_stack_bottom[];
extern uint32_t tg_stack_top[];

/* A word of the chip's random number generator; false where there is none, or none came in time. */
bool tg_port_random(uint32_t *word);

void tg_port_reset(void) __attribute__((noreturn));

#endif
