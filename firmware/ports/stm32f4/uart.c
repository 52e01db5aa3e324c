/* SPDX-License-Identifier: Apache-2.0 */
/* STM32F405 (RM0090): USART1 on PB6 (out) and PB7 (in). */
#include "state.h"

#define RCC_AHB1ENR TG_REGISTER(0x40023830u)
#define RCC_APB2ENR TG_REGISTER(0x40023844u)
#define AHB1ENR_GPIOB (1u << 1)
#define APB2ENR_USART1 (1u << 4)

#define GPIOB_MODER TG_REGISTER(0x40020400u)
#define GPIOB_PUPDR TG_REGISTER(0x4002040Cu)
#define GPIOB_AFRL TG_REGISTER(0x40020420u)

#define SR TG_REGISTER(TG_UART_BASE + 0x00u)
#define DR TG_REGISTER(TG_UART_BASE + 0x04u)
#define BRR TG_REGISTER(TG_UART_BASE + 0x08u)
#define CR1 TG_REGISTER(TG_UART_BASE + 0x0Cu)
#define SR_ORE (1u << 3)
#define SR_RXNE (1u << 5)
#define SR_TC (1u << 6)
#define SR_TXE (1u << 7)
#define CR1_RE (1u << 2)
#define CR1_TE (1u << 3)
#define CR1_RXNEIE (1u << 5)
#define CR1_UE (1u << 13)

#define BRR_MIN 16u
#define BRR_MAX 0xFFFFu

static bool set_divider(uint32_t baud) {
    /* APB2 runs at half the core's clock, but for the fall-back, where it is not divided. */
    const uint32_t clock_hz = tg_port.clock_hz == TG_CLOCK_HZ ? TG_UART_CLOCK_HZ : tg_port.clock_hz;
    const uint32_t divider = (clock_hz + baud / 2u) / baud;

    if (divider < BRR_MIN || divider > BRR_MAX) {
        return false;
    }
    BRR = divider;
    return true;
}

void tg_uart_init(void) {
    RCC_AHB1ENR |= AHB1ENR_GPIOB;
    RCC_APB2ENR |= APB2ENR_USART1;
    (void)RCC_APB2ENR; /* the clock runs two cycles after the enable */
    GPIOB_PUPDR = (GPIOB_PUPDR & ~(0xFu << 12)) | 0x5u << 12;
    GPIOB_AFRL = (GPIOB_AFRL & ~(0xFFu << 24)) | 0x77u << 24;
    GPIOB_MODER = (GPIOB_MODER & ~(0xFu << 12)) | 0xAu << 12;
    (void)set_divider(TG_BAUD);
    tg_port.baud = TG_BAUD;
    CR1 = CR1_UE | CR1_TE | CR1_RE | CR1_RXNEIE;
}

bool tg_uart_set_baud(uint32_t baud) {
    while ((SR & SR_TC) == 0) {
    }
    return set_divider(baud);
}

void tg_uart_send(uint8_t byte) {
    DR = byte;
    while ((SR & SR_TXE) == 0) {
    }
}

void tg_uart_interrupt(void) {
    const uint32_t status = SR;

    if (status & (SR_RXNE | SR_ORE)) {
        /* Reading DR after SR clears both flags; after an overrun DR holds the byte before the lost one. */
        const uint8_t byte = (uint8_t)DR;
        if (status & SR_RXNE) {
            tg_ring_push(byte);
        }
        if (status & SR_ORE) {
            tg_port.overruns++;
        }
    }
}
