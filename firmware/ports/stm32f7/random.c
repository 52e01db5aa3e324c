/* SPDX-License-Identifier: Apache-2.0 */
/* The random number generator of STM32F74x and F76x (RM0385 chapter 16), clocked by the PLL's 48 MHz output. */
#include "state.h"

#define RCC_AHB2ENR TG_REGISTER(0x40023834u)
#define AHB2ENR_RNGEN (1u << 6)
#define RNG_CR TG_REGISTER(0x50060800u)
#define RNG_SR TG_REGISTER(0x50060804u)
#define RNG_DR TG_REGISTER(0x50060808u)
#define CR_RNGEN (1u << 2)
#define SR_DRDY (1u << 0)
#define SR_ERRORS 0x66u /* seed and clock errors, now and since */

#define POLLS 10000u

bool tg_port_random(uint32_t *word) {
    RCC_AHB2ENR |= AHB2ENR_RNGEN;
    (void)RCC_AHB2ENR; /* the clock takes two cycles to arrive */
    RNG_CR |= CR_RNGEN;
    for (uint32_t polls = 0; polls < POLLS; polls++) {
        const uint32_t status = RNG_SR;
        if ((status & SR_ERRORS) != 0) {
            RNG_SR = 0;
            RNG_CR &= ~CR_RNGEN;
            return false;
        }
        if ((status & SR_DRDY) != 0) {
            *word = RNG_DR;
            return true;
        }
    }
    return false;
}
