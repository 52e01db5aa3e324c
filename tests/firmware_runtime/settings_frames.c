/* SPDX-License-Identifier: Apache-2.0 */
/* A board on standard input: each request is its length, uint16_t, and a frame. The answer is the words of each
   setting as they are after it, then the length, uint16_t, and the bytes of what the board sent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board.h"
#include "fake_stack.h"
#include "frame.h"
#include "protocol.h"
#include "stack.h"
#include "tinyguard/port.h"
#include "tinyguard/settings.h"

static uint8_t to_board[65536];
static size_t left;
static const uint8_t *at;
static uint8_t to_host[65536];
static uint16_t sent;

void tg_port_init(void)
{
}

size_t tg_port_read(uint8_t *bytes, size_t max)
{
    const size_t count = max < left ? max : left;

    memcpy(bytes, at, count);
    at += count;
    left -= count;
    return count;
}

void tg_port_write(const uint8_t *bytes, size_t count)
{
    if (count > sizeof(to_host) - sent) {
        abort();
    }
    memcpy(to_host + sent, bytes, count);
    sent = (uint16_t)(sent + count);
}

void tg_port_wait(void)
{
}

bool tg_port_set_baud(uint32_t baud)
{
    return baud == TG_BAUD;
}

uint32_t tg_port_clock_hz(void)
{
    return 1;
}

uint32_t tg_port_overruns(void)
{
    return 0;
}

uint64_t tg_port_counter_read(void)
{
    return 0;
}

tg_counter_calibration tg_port_calibration(void)
{
    return (tg_counter_calibration){.kind = TG_COUNTER_TICKS};
}

/* test_settings.py counts along. */
bool tg_port_random(uint32_t *word)
{
    static uint32_t drawn;

    *word = drawn += 0x9E3779B9u;
    return true;
}

void tg_port_reset(void)
{
    abort();
}

int main(void)
{
    uint16_t length;

    tg_stack_paint();
    tg_protocol_init();
    while (fread(&length, sizeof(length), 1, stdin) == 1) {
        if (fread(to_board, 1, length, stdin) != length) {
            return 1;
        }
        at = to_board;
        left = length;
        sent = 0;
        while (left > 0 || tg_frame_pending()) {
            tg_protocol_step();
        }
        for (uint32_t i = 0; i < tg_the_model.setting_count; i++) {
            const tg_setting *setting = &tg_the_model.settings[i];
            fwrite(setting->value, sizeof(uint32_t), tg_setting_words(setting), stdout);
        }
        fwrite(&sent, sizeof(sent), 1, stdout);
        fwrite(to_host, 1, sent, stdout);
    }
    return 0;
}
