/* SPDX-License-Identifier: Apache-2.0 */
/* Arm MPS2 and MPS3: CMSDK APB UART; clocks are fixed by the FPGA image. */
#include "state.h"

#define DATA TG_REGISTER(TG_UART_BASE + 0x00u)
#define STATE TG_REGISTER(TG_UART_BASE + 0x04u)
#define CTRL TG_REGISTER(TG_UART_BASE + 0x08u)
#define INTCLEAR TG_REGISTER(TG_UART_BASE + 0x0Cu)
#define BAUDDIV TG_REGISTER(TG_UART_BASE + 0x10u)

#define STATE_TX_FULL 0x1u
#define STATE_RX_FULL 0x2u
#define STATE_RX_OVERRUN 0x8u
#define CTRL_TX_ENABLE 0x1u
#define CTRL_RX_ENABLE 0x2u
#define CTRL_RX_INTERRUPT 0x8u
#define INT_RX 0x2u

#define BAUDDIV_MIN 16u
#define BAUDDIV_MAX 0xFFFFFu

uint32_t tg_clock_init(void) {
    return TG_CLOCK_HZ;
}

static bool set_divider(uint32_t baud) {
    const uint32_t divider = (TG_UART_CLOCK_HZ + baud / 2u) / baud;

    if (divider < BAUDDIV_MIN || divider > BAUDDIV_MAX) {
        return false;
    }
    BAUDDIV = divider;
    return true;
}

void tg_uart_init(void) {
    (void)set_divider(TG_BAUD);
    tg_port.baud = TG_BAUD;
    CTRL = CTRL_TX_ENABLE | CTRL_RX_ENABLE | CTRL_RX_INTERRUPT;
}

bool tg_uart_set_baud(uint32_t baud) {
    /* The UART says when its holding register is free, not when the last bit is out: wait 16 bit times. */
    for (uint32_t wait = 16u * (TG_CLOCK_HZ / tg_port.baud); wait != 0; wait--) {
        __asm volatile("");
    }
    return set_divider(baud);
}

void tg_uart_send(uint8_t byte) {
    DATA = byte;
    while (STATE & STATE_TX_FULL) {
    }
}

void tg_uart_interrupt(void) {
    INTCLEAR = INT_RX;
    while (STATE & STATE_RX_FULL) {
        tg_ring_push((uint8_t)DATA);
    }
    if (STATE & STATE_RX_OVERRUN) {
        STATE = STATE_RX_OVERRUN;
        tg_port.overruns++;
    }
}
