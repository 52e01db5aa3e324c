/* SPDX-License-Identifier: Apache-2.0 */
/* Test firmware: echoes, answers questions about the port, resets or faults on request. */
#include "board.h"
#include "tinyguard/port.h"

#define KNOWN_ROUNDS 1000000u

typedef struct {
    uint8_t buffer[TG_RUNTIME_STATE_BYTES];
} echo_state;

__attribute__((section(".tg_link"), aligned(8))) static echo_state state;
__attribute__((section(".tg_arena"), aligned(16))) uint8_t tg_arena[100];
__attribute__((section(".tg_constants"), aligned(4))) const uint8_t weights[7] = {1, 2, 3, 4, 5, 6, 7};

int main(void);

static void send_word(uint64_t word) {
    uint8_t bytes[8];

    for (unsigned i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(word >> (8 * i));
    }
    tg_port_write(bytes, sizeof bytes);
}

static uint64_t known_loop(void) {
    uint32_t rounds = KNOWN_ROUNDS;
    const uint64_t start = tg_port_counter_read();

    __asm volatile(".syntax unified\n"
                   "1:\n\t"
                   "nop\n\tnop\n\tnop\n\tnop\n\tnop\n\tnop\n\t"
                   "subs %0, %0, #1\n\t"
                   "bne 1b"
                   : "+l"(rounds)
                   :
                   : "cc");
    return tg_port_counter_read() - start;
}

static void answer(uint8_t command) {
    const tg_counter_calibration calibration = tg_port_calibration();

    switch (command) {
    case 1:
        send_word(calibration.kind);
        send_word(calibration.instructions);
        send_word(calibration.ticks);
        send_word(tg_port_clock_hz());
        send_word(tg_port_overruns());
        break;
    case 2:
        send_word(known_loop());
        break;
    case 3:
        send_word(tg_port_set_baud(9600) ? 1 : 0);
        break;
    case 4:
        send_word(tg_port_set_baud(0xFFFFFFFFu) ? 1 : 0);
        break;
    case 5:
        tg_port_reset();
    case 6:
        *(volatile uint32_t *)((uintptr_t)tg_stack_bottom - 4) = 0; /* the first word of an overflow */
        break;
    default:
        __asm volatile("udf #0");
        break;
    }
}

/* 0xAA, command: a question. 0x55, length (two bytes, low first), bytes: an echo, sent as they come. */
int main(void) {
    uint32_t expected = 0;
    uint8_t head[3];
    uint32_t have = 0;

    tg_port_init();
    for (;;) {
        tg_port_wait();
        if (expected != 0) {
            const size_t room = sizeof state.buffer < expected ? sizeof state.buffer : expected;
            const size_t count = tg_port_read(state.buffer, room);

            tg_port_write(state.buffer, count);
            expected -= (uint32_t)count;
            continue;
        }
        have += (uint32_t)tg_port_read(head + have, 1);
        if (have == 2 && head[0] == 0xAA) {
            answer(head[1]);
            have = 0;
        } else if (have == 3) {
            expected = (uint32_t)head[1] | (uint32_t)head[2] << 8;
            have = 0;
        }
    }
}
