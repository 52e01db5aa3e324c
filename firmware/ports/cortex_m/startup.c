/* SPDX-License-Identifier: Apache-2.0 */
/* Vector table, reset and faults of every Cortex-M. */
#include "state.h"

#define VTOR TG_REGISTER(0xE000ED08u)
#define CPACR TG_REGISTER(0xE000ED88u)

extern uint32_t tg_link_start[];
extern uint32_t tg_link_end[];

int main(void);

void Reset_Handler(void) __attribute__((noreturn));

/* Silence, with the stacked registers left for a debugger: a chip that resets itself would hide the fault. */
static void fault(void) {
    __asm volatile("cpsid i");
    for (;;) {
        __asm volatile("wfi");
    }
}

typedef struct {
    uint32_t *stack;
    void (*handlers[TG_VECTOR_COUNT - 1])(void);
} vector_table;

/* Handlers left out stay null: their interrupts are never enabled, and a null one faults. */
__attribute__((section(".vectors"), used, aligned(512))) const vector_table tg_vectors = {
    .stack = tg_stack_top,
    .handlers =
        {
            [0] = Reset_Handler,
            [1] = fault, /* NMI */
            [2] = fault, /* HardFault */
            [3] = fault, /* MemManage */
            [4] = fault, /* BusFault */
            [5] = fault, /* UsageFault */
            [6] = fault, /* SecureFault */
#ifdef TG_COUNTER_IRQ
            [15 + TG_COUNTER_IRQ] = tg_counter_interrupt,
#else
            [14] = tg_counter_interrupt, /* SysTick */
#endif
            [15 + TG_UART_IRQ] = tg_uart_interrupt,
        },
};

void Reset_Handler(void) {
#if !defined(__ARM_ARCH_6M__)
    VTOR = (uint32_t)(uintptr_t)&tg_vectors;
#endif
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    CPACR |= 0xFu << 20;
    __asm volatile("dsb\n\tisb" ::: "memory");
#endif
    for (uint32_t *word = tg_link_start; word != tg_link_end; word++) {
        *(volatile uint32_t *)word = 0;
    }
    (void)main();
    tg_port_reset();
}
