/* SPDX-License-Identifier: Apache-2.0 */
/* The clock and UART code of an STM32 port on a simulated register file, run by an emulated core of the same
   kind: QEMU has neither the STM32F746 nor a clock controller for the STM32F405. The macros FAMILY_... come
   from the command line. */
#include "state.h"

#define SLOTS 40u
#define LOG 64u

enum { HSE_WORKS = 1, PLL_WORKS = 2, OVER_DRIVE_WORKS = 4 };

typedef struct {
    uint32_t address;
    uint32_t value;
    uint32_t shadow;
} slot;

typedef struct {
    uint32_t works;
    uint32_t slot_count;
    uint32_t log_count;
    uint32_t pad;
    slot slots[SLOTS];
    uint32_t log[LOG][2];
} simulation;

_Static_assert(sizeof(simulation) == TG_RUNTIME_STATE_BYTES, "the test passes this size");
TG_LINK static simulation sim;

static slot *find(uint32_t address) {
    for (uint32_t i = 0; i < sim.slot_count; i++) {
        if (sim.slots[i].address == address) {
            return &sim.slots[i];
        }
    }
    sim.slots[sim.slot_count] = (slot){.address = address};
    return &sim.slots[sim.slot_count++];
}

static void answer_when(uint32_t from, uint32_t asked, uint32_t to, uint32_t ready, uint32_t works) {
    const bool is_ready = (find(from)->value & asked) == asked && (sim.works & works) == works;
    slot *const status = find(to);

    status->value = is_ready ? status->value | ready : status->value & ~ready;
    status->shadow = status->value;
}

/* What the hardware does about the writes so far. */
static void step(void) {
    const uint32_t rcc_cr = 0x40023800u;
    const uint32_t rcc_cfgr = 0x40023808u;
    const uint32_t pwr_cr = 0x40007000u;
    const uint32_t pwr_csr = 0x40007004u;
    const uint32_t count = sim.slot_count;

    for (uint32_t i = 0; i < count; i++) {
        slot *const changed = &sim.slots[i];
        if (changed->value != changed->shadow && sim.log_count < LOG) {
            sim.log[sim.log_count][0] = changed->address;
            sim.log[sim.log_count][1] = changed->value;
            sim.log_count++;
        }
        changed->shadow = changed->value;
    }
    answer_when(rcc_cr, 1u << 16, rcc_cr, 1u << 17, HSE_WORKS);
    answer_when(rcc_cr, 1u << 24, rcc_cr, 1u << 25, PLL_WORKS);
    answer_when(rcc_cfgr, 2u, rcc_cfgr, 8u, 0);
    answer_when(pwr_cr, 1u << 16, pwr_csr, 1u << 16, OVER_DRIVE_WORKS);
    answer_when(pwr_cr, 3u << 16, pwr_csr, 1u << 17, OVER_DRIVE_WORKS);
}

static volatile uint32_t *simulated(uint32_t address) {
    step();
    return &find(address)->value;
}

static uint32_t family_clock_init(void);
static void family_uart_init(void);
static void family_uart_interrupt(void);

#undef TG_REGISTER
#define TG_REGISTER(address) (*simulated(address))
#undef TG_CLOCK_HZ
#define TG_CLOCK_HZ FAMILY_CLOCK_HZ
#undef TG_HSE_HZ
#define TG_HSE_HZ FAMILY_HSE_HZ
#undef TG_UART_CLOCK_HZ
#define TG_UART_CLOCK_HZ FAMILY_UART_CLOCK_HZ
#undef TG_UART_BASE
#define TG_UART_BASE FAMILY_UART_BASE
#define tg_clock_init family_clock_init
#define tg_uart_init family_uart_init
#define tg_uart_set_baud family_uart_set_baud
#define tg_uart_send family_uart_send
#define tg_uart_interrupt family_uart_interrupt
bool family_uart_set_baud(uint32_t baud);
void family_uart_send(uint8_t byte);
#include FAMILY_CLOCK
#include FAMILY_UART

int main(void);

static void send_word(uint32_t word) {
    uint8_t bytes[4];

    for (unsigned i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(word >> (8 * i));
    }
    tg_port_write(bytes, sizeof bytes);
}

static void run(uint32_t works) {
    const uint32_t clock_hz = tg_port.clock_hz;

    for (uint32_t i = 0; i < sizeof sim / 4; i++) {
        ((volatile uint32_t *)&sim)[i] = 0;
    }
    sim.works = works;
    tg_port.clock_hz = family_clock_init();
    family_uart_init();
    step();
    const uint32_t result_hz = tg_port.clock_hz;
    const uint32_t interrupts = tg_interrupts_off();
    const uint32_t lost = tg_port.overruns;
    uint8_t byte = 0;

    /* Received and overrun at once; the data register of either family is what the read returns. */
    find(FAMILY_UART_BASE + FAMILY_UART_STATUS)->value = 1u << 5 | 1u << 3;
    find(FAMILY_UART_BASE + FAMILY_UART_DATA)->value = 0x5A;
    family_uart_interrupt();
    (void)tg_port_read(&byte, 1);
    const uint32_t overruns = tg_port.overruns - lost;

    tg_port.overruns = lost;
    tg_port.clock_hz = clock_hz;
    tg_interrupts_restore(interrupts);
    send_word(result_hz);
    send_word(byte);
    send_word(overruns);
    send_word(sim.log_count);
    for (uint32_t i = 0; i < LOG; i++) {
        send_word(sim.log[i][0]);
        send_word(sim.log[i][1]);
    }
}

/* One byte, the scenario, is a question. */
int main(void) {
    uint8_t works;

    tg_port_init();
    for (;;) {
        tg_port_wait();
        if (tg_port_read(&works, 1) == 1) {
            run(works);
        }
    }
}
