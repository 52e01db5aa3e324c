/* SPDX-License-Identifier: Apache-2.0 */
/* STM32F74x and F76x (RM0385, RM0410): USART3 on PD8 (out) and PD9 (in), the ST-LINK's virtual port. */
#include "state.h"

#define RCC_AHB1ENR TG_REGISTER(0x40023830u)
#define RCC_APB1ENR TG_REGISTER(0x40023840u)
#define AHB1ENR_GPIOD (1u << 3)
#define APB1ENR_USART3 (1u << 18)

#define GPIOD_MODER TG_REGISTER(0x40020C00u)
#define GPIOD_OSPEEDR TG_REGISTER(0x40020C08u)
#define GPIOD_PUPDR TG_REGISTER(0x40020C0Cu)
#define GPIOD_AFRH TG_REGISTER(0x40020C24u)

#define CR1 TG_REGISTER(TG_UART_BASE + 0x00u)
#define BRR TG_REGISTER(TG_UART_BASE + 0x0Cu)
#define ISR TG_REGISTER(TG_UART_BASE + 0x1Cu)
#define ICR TG_REGISTER(TG_UART_BASE + 0x20u)
#define RDR TG_REGISTER(TG_UART_BASE + 0x24u)
#define TDR TG_REGISTER(TG_UART_BASE + 0x28u)
#define CR1_UE (1u << 0)
#define CR1_RE (1u << 2)
#define CR1_TE (1u << 3)
#define CR1_RXNEIE (1u << 5)
#define ISR_ORE (1u << 3)
#define ISR_RXNE (1u << 5)
#define ISR_TC (1u << 6)
#define ISR_TXE (1u << 7)
#define ICR_ORECF (1u << 3)

#define BRR_MIN 16u
#define BRR_MAX 0xFFFFu

/* BRR may only be written while the USART is disabled. */
static bool set_divider(uint32_t baud) {
    /* APB1 runs at a quarter of the core's clock, but for the fall-back, where it is not divided. */
    const uint32_t clock_hz = tg_port.clock_hz == TG_CLOCK_HZ ? TG_UART_CLOCK_HZ : tg_port.clock_hz;
    const uint32_t divider = (clock_hz + baud / 2u) / baud;

    if (divider < BRR_MIN || divider > BRR_MAX) {
        return false;
    }
    CR1 = 0;
    BRR = divider;
    CR1 = CR1_UE | CR1_TE | CR1_RE | CR1_RXNEIE;
    return true;
}

void tg_uart_init(void) {
    RCC_AHB1ENR |= AHB1ENR_GPIOD;
    RCC_APB1ENR |= APB1ENR_USART3;
    (void)RCC_APB1ENR; /* the clock runs two cycles after the enable */
    GPIOD_OSPEEDR = (GPIOD_OSPEEDR & ~(0xFu << 16)) | 0xAu << 16;
    GPIOD_PUPDR = (GPIOD_PUPDR & ~(0xFu << 16)) | 0x5u << 16;
    GPIOD_AFRH = (GPIOD_AFRH & ~0xFFu) | 0x77u;
    GPIOD_MODER = (GPIOD_MODER & ~(0xFu << 16)) | 0xAu << 16;
    tg_port.baud = TG_BAUD;
    (void)set_divider(TG_BAUD);
}

bool tg_uart_set_baud(uint32_t baud) {
    while ((ISR & ISR_TC) == 0) {
    }
    return set_divider(baud);
}

void tg_uart_send(uint8_t byte) {
    TDR = byte;
    while ((ISR & ISR_TXE) == 0) {
    }
}

void tg_uart_interrupt(void) {
    const uint32_t status = ISR;

    if (status & ISR_RXNE) {
        tg_ring_push((uint8_t)RDR);
    }
    if (status & ISR_ORE) {
        ICR = ICR_ORECF;
        tg_port.overruns++;
    }
}
