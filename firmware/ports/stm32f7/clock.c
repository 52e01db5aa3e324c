/* SPDX-License-Identifier: Apache-2.0 */
/* STM32F74x and F76x (RM0385, RM0410): 216 MHz from the ST-LINK's clock, else from the internal oscillator,
   else 16 MHz as it woke; both caches on. */
#include "state.h"

#define RCC_CR TG_REGISTER(0x40023800u)
#define RCC_PLLCFGR TG_REGISTER(0x40023804u)
#define RCC_CFGR TG_REGISTER(0x40023808u)
#define RCC_APB1ENR TG_REGISTER(0x40023840u)
#define PWR_CR1 TG_REGISTER(0x40007000u)
#define PWR_CSR1 TG_REGISTER(0x40007004u)
#define FLASH_ACR TG_REGISTER(0x40023C00u)

#define CR_HSEON (1u << 16)
#define CR_HSERDY (1u << 17)
#define CR_HSEBYP (1u << 18)
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
#define CR1_VOS_SCALE_1 (3u << 14)
#define CR1_ODEN (1u << 16)
#define CR1_ODSWEN (1u << 17)
#define CSR1_ODRDY (1u << 16)
#define CSR1_ODSWRDY (1u << 17)
#define ACR_LATENCY_MASK 0xFu
#define ACR_7_WAIT_STATES 7u
#define ACR_PREFETCH (1u << 8)
#define ACR_ART (1u << 9)

#define CSSELR TG_REGISTER(0xE000ED84u)
#define CCSIDR TG_REGISTER(0xE000ED80u)
#define CCR TG_REGISTER(0xE000ED14u)
#define ICIALLU TG_REGISTER(0xE000EF50u)
#define DCISW TG_REGISTER(0xE000EF60u)
#define CCR_DC (1u << 16)
#define CCR_IC (1u << 17)

#define HSI_HZ 16000000u
#define POLLS 200000u

/* VCO input 2 MHz, VCO 432 MHz, core VCO / 2, USB VCO / 9. */
#define PLL_INPUT_HZ 2000000u
#define PLL_N 216u
#define PLL_Q 9u
_Static_assert(TG_CLOCK_HZ == PLL_INPUT_HZ / 2u * PLL_N, "the PLL below makes 216 MHz");
_Static_assert(TG_HSE_HZ % PLL_INPUT_HZ == 0 && TG_HSE_HZ >= 2u * PLL_INPUT_HZ, "the PLL's input is 2 MHz");

static bool wait_for(volatile uint32_t *reg, uint32_t mask, uint32_t value) {
    for (uint32_t polls = 0; polls < POLLS; polls++) {
        if ((*reg & mask) == value) {
            return true;
        }
    }
    return false;
}

/* Above 180 MHz the regulator needs over-drive, entered while the core still runs from HSI. */
static bool enter_over_drive(void) {
    PWR_CR1 |= CR1_ODEN;
    if (!wait_for(&PWR_CSR1, CSR1_ODRDY, CSR1_ODRDY)) {
        return false;
    }
    PWR_CR1 |= CR1_ODSWEN;
    return wait_for(&PWR_CSR1, CSR1_ODSWRDY, CSR1_ODSWRDY);
}

static bool start_pll(void) {
    RCC_CR |= CR_HSEBYP;
    RCC_CR |= CR_HSEON;
    if (wait_for(&RCC_CR, CR_HSERDY, CR_HSERDY)) {
        RCC_PLLCFGR = (TG_HSE_HZ / PLL_INPUT_HZ) | PLL_N << 6 | PLL_Q << 24 | PLLCFGR_HSE;
    } else {
        RCC_CR &= ~CR_HSEON;
        RCC_PLLCFGR = (HSI_HZ / PLL_INPUT_HZ) | PLL_N << 6 | PLL_Q << 24;
    }
    RCC_CR |= CR_PLLON;
    return enter_over_drive() && wait_for(&RCC_CR, CR_PLLRDY, CR_PLLRDY);
}

/* Cortex-M7 lines are 32 bytes; sets start at bit 5 of DCISW and the four ways at bit 30. */
static void enable_caches(void) {
    __asm volatile("dsb\n\tisb" ::: "memory");
    ICIALLU = 0;
    CSSELR = 0;
    __asm volatile("dsb" ::: "memory");
    const uint32_t sets = ((CCSIDR >> 13) & 0x7FFFu) + 1u;
    const uint32_t ways = ((CCSIDR >> 3) & 0x3FFu) + 1u;

    for (uint32_t set = 0; set < sets; set++) {
        for (uint32_t way = 0; way < ways; way++) {
            DCISW = set << 5 | way << 30;
        }
    }
    __asm volatile("dsb" ::: "memory");
    CCR |= CCR_IC | CCR_DC;
    __asm volatile("dsb\n\tisb" ::: "memory");
}

uint32_t tg_clock_init(void) {
    enable_caches();
    RCC_APB1ENR |= APB1ENR_PWREN;
    (void)RCC_APB1ENR; /* the clock runs two cycles after the enable */
    PWR_CR1 |= CR1_VOS_SCALE_1;
    if (!start_pll()) {
        RCC_CR &= ~CR_PLLON;
        return HSI_HZ;
    }
    FLASH_ACR = ACR_7_WAIT_STATES | ACR_PREFETCH | ACR_ART;
    if (!wait_for(&FLASH_ACR, ACR_LATENCY_MASK, ACR_7_WAIT_STATES)) {
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
