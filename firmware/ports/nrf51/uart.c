/* SPDX-License-Identifier: Apache-2.0 */
/* nRF51 (reference manual 3.0): crystal, UART0 on the micro:bit's pins to its interface chip. */
#include "state.h"

#define POWER_RAMON TG_REGISTER(0x40000524u)
#define HFCLKSTART TG_REGISTER(0x40000000u)
#define HFCLKSTARTED TG_REGISTER(0x40000100u)
#define CRYSTAL_POLLS 200000u

#define GPIO_OUTSET TG_REGISTER(0x50000508u)
#define GPIO_PIN_CNF(pin) TG_REGISTER(0x50000700u + 4u * (pin))
#define PIN_OUT 24u
#define PIN_IN 25u
#define PIN_CNF_OUTPUT 0x3u /* direction out, input buffer off */
#define PIN_CNF_INPUT 0x0u

#define STARTRX TG_REGISTER(TG_UART_BASE + 0x000u)
#define STARTTX TG_REGISTER(TG_UART_BASE + 0x008u)
#define RXDRDY TG_REGISTER(TG_UART_BASE + 0x108u)
#define TXDRDY TG_REGISTER(TG_UART_BASE + 0x11Cu)
#define INTENSET TG_REGISTER(TG_UART_BASE + 0x304u)
#define ERRORSRC TG_REGISTER(TG_UART_BASE + 0x480u)
#define ENABLE TG_REGISTER(TG_UART_BASE + 0x500u)
#define PSELTXD TG_REGISTER(TG_UART_BASE + 0x50Cu)
#define PSELRXD TG_REGISTER(TG_UART_BASE + 0x514u)
#define RXD TG_REGISTER(TG_UART_BASE + 0x518u)
#define TXD TG_REGISTER(TG_UART_BASE + 0x51Cu)
#define BAUDRATE TG_REGISTER(TG_UART_BASE + 0x524u)
#define INT_RXDRDY 0x4u
#define ERRORSRC_OVERRUN 0x1u
#define ENABLE_UART 4u

uint32_t tg_clock_init(void) {
    POWER_RAMON |= 0x3u; /* anomaly 16: both RAM blocks may be off after reset */
    HFCLKSTARTED = 0;
    HFCLKSTART = 1;
    for (uint32_t polls = 0; polls < CRYSTAL_POLLS && HFCLKSTARTED == 0; polls++) {
    }
    return TG_CLOCK_HZ;
}

/* The manual's values; it gives no formula. 0 for a rate that is not in its table. */
static uint32_t baud_register(uint32_t baud) {
    switch (baud) {
    case 9600:
        return 0x00275000u;
    case 19200:
        return 0x004EA000u;
    case 38400:
        return 0x009D5000u;
    case 57600:
        return 0x00EBF000u;
    case 115200:
        return 0x01D7E000u;
    case 230400:
        return 0x03AFB000u;
    case 250000:
        return 0x04000000u;
    case 460800:
        return 0x075F7000u;
    case 921600:
        return 0x0EBEDFA4u;
    case 1000000:
        return 0x10000000u;
    default:
        return 0;
    }
}

void tg_uart_init(void) {
    GPIO_OUTSET = 1u << PIN_OUT; /* idle level before the UART drives it */
    GPIO_PIN_CNF(PIN_OUT) = PIN_CNF_OUTPUT;
    GPIO_PIN_CNF(PIN_IN) = PIN_CNF_INPUT;
    PSELTXD = PIN_OUT;
    PSELRXD = PIN_IN;
    BAUDRATE = baud_register(TG_BAUD);
    tg_port.baud = TG_BAUD;
    ENABLE = ENABLE_UART;
    RXDRDY = 0;
    TXDRDY = 0;
    INTENSET = INT_RXDRDY;
    STARTTX = 1;
    STARTRX = 1;
}

bool tg_uart_set_baud(uint32_t baud) {
    const uint32_t value = baud_register(baud);

    if (value == 0) {
        return false;
    }
    BAUDRATE = value;
    return true;
}

void tg_uart_send(uint8_t byte) {
    TXDRDY = 0;
    TXD = byte;
    while (TXDRDY == 0) {
    }
}

void tg_uart_interrupt(void) {
    while (RXDRDY != 0) {
        RXDRDY = 0; /* before the read: the next byte of the FIFO sets it again */
        tg_ring_push((uint8_t)RXD);
    }
    if (ERRORSRC & ERRORSRC_OVERRUN) {
        ERRORSRC = ERRORSRC_OVERRUN;
        tg_port.overruns++;
    }
}
