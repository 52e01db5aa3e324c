/* SPDX-License-Identifier: Apache-2.0 */
/* STM32F405 (RM0090): 168 MHz from the crystal, else from the internal oscillator, else 16 MHz as it woke. */
#include "state.h"

#define RCC_CR TG_REGISTER(0x40023800u)
#define RCC_PLLCFGR TG_REGISTER(0x40023804u)
#define RCC_CFGR TG_REGISTER(0x40023808u)
#define RCC_APB1ENR TG_REGISTER(0x40023840u)
#define PWR_CR TG_REGISTER(0x40007000u)
#define FLASH_ACR TG_REGISTER(0x40023C00u)

#define CR_HSEON (1u << 16)
#define CR_HSERDY (1u << 17)
#define CR_PLLON (1u << 24)
#define CR_PLLRDY (1u << 25)
#define PLLCFGR_HSE (1u << 22)
#define CFGR_SW_MASK 0x3u
#define CFGR_SW_PLL 0x2u
#define CFGR_SWS_MASK 0xCu
#define CFGR_SWS_PLL 0x8u
#define CFGR_APB1_DIV4 (5u << 10)
#define CFGR_APB2_DIV2 (4u << 13)
#define APB1ENR_PWREN (1u << 28)
#define PWR_CR_VOS (1u << 14)
#define ACR_5_WAIT_STATES 5u
#define ACR_PREFETCH (1u << 8)
#define ACR_INSTRUCTION_CACHE (1u << 9)
#define ACR_DATA_CACHE (1u << 10)

#define HSI_HZ 16000000u
#define POLLS 200000u

/* VCO input 1 MHz, VCO 336 MHz, core VCO / 2, USB VCO / 7. */
#define PLL_N 336u
#define PLL_Q 7u
_Static_assert(TG_CLOCK_HZ == 1000000u * PLL_N / 2u, "the PLL below makes 168 MHz");
_Static_assert(TG_HSE_HZ % 1000000u == 0, "the PLL's input is 1 MHz");

static bool wait_for(volatile uint32_t *reg, uint32_t mask, uint32_t value) {
    for (uint32_t polls = 0; polls < POLLS; polls++) {
        if ((*reg & mask) == value) {
            return true;
        }
    }
    return false;
}

static bool start_pll(void) {
    RCC_CR |= CR_HSEON;
    if (wait_for(&RCC_CR, CR_HSERDY, CR_HSERDY)) {
        RCC_PLLCFGR = (TG_HSE_HZ / 1000000u) | PLL_N << 6 | PLL_Q << 24 | PLLCFGR_HSE;
    } else {
        RCC_CR &= ~CR_HSEON;
        RCC_PLLCFGR = (HSI_HZ / 1000000u) | PLL_N << 6 | PLL_Q << 24;
    }
    RCC_CR |= CR_PLLON;
    return wait_for(&RCC_CR, CR_PLLRDY, CR_PLLRDY);
}

uint32_t tg_clock_init(void) {
    RCC_APB1ENR |= APB1ENR_PWREN;
    PWR_CR |= PWR_CR_VOS;
    FLASH_ACR = ACR_5_WAIT_STATES | ACR_PREFETCH | ACR_INSTRUCTION_CACHE | ACR_DATA_CACHE;
    if (!start_pll()) {
        RCC_CR &= ~CR_PLLON;
        return HSI_HZ;
    }
    RCC_CFGR |= CFGR_APB1_DIV4 | CFGR_APB2_DIV2;
    RCC_CFGR = (RCC_CFGR & ~CFGR_SW_MASK) | CFGR_SW_PLL;
    if (!wait_for(&RCC_CFGR, CFGR_SWS_MASK, CFGR_SWS_PLL)) {
        RCC_CFGR = 0;
        return HSI_HZ;
    }
    return TG_CLOCK_HZ;
}
