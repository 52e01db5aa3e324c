/* SPDX-License-Identifier: Apache-2.0 */
/* Seeded fuzzer of the frame parser and the dispatcher: fuzz SEED SECONDS.

   Bursts of requests with hostile fields, many of them damaged on the wire. Whatever the board sends must be
   a good frame, and after each burst a clean HELLO and RUN must be answered, with the right result. Prints
   how often each command was carried out. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "board.h"
#include "fake_model.h"
#include "fake_stack.h"
#include "frame.h"
#include "fuzz_cobs.h"
#include "link.h"
#include "protocol.h"
#include "stack.h"
#include "tinyguard/model.h"
#include "tinyguard/port.h"
#include "tinyguard/settings.h"

#define BODY_MAX 1024
#define WIRE_MAX 65536
#define COMMANDS 128

static uint8_t to_board[WIRE_MAX];
static size_t to_board_length;
static size_t to_board_read;
static uint8_t to_host[4 * WIRE_MAX];
static size_t to_host_length;
static jmp_buf reboot;
static uint64_t ticks;
static uint64_t state;
static uint32_t session = 1;
static uint16_t sequence;
static unsigned long carried_out[COMMANDS];
static unsigned long refused;
static unsigned long resets;

static void fail(const char *what)
{
    fprintf(stderr, "fuzz: %s\n", what);
    abort();
}

static uint32_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32);
}

static uint32_t below(uint32_t bound)
{
    return next() % bound;
}

void tg_port_init(void)
{
}

size_t tg_port_read(uint8_t *bytes, size_t max)
{
    size_t count = 0;

    while (count < max && to_board_read < to_board_length) {
        bytes[count++] = to_board[to_board_read++];
    }
    return count;
}

void tg_port_write(const uint8_t *bytes, size_t count)
{
    if (count > sizeof(to_host) - to_host_length) {
        fail("answers without end");
    }
    memcpy(to_host + to_host_length, bytes, count);
    to_host_length += count;
}

void tg_port_wait(void)
{
}

bool tg_port_set_baud(uint32_t baud)
{
    return baud % 3 != 0 || baud == TG_BAUD;
}

uint32_t tg_port_clock_hz(void)
{
    return 10;
}

uint32_t tg_port_overruns(void)
{
    return 0;
}

uint64_t tg_port_counter_read(void)
{
    return ticks++;
}

tg_counter_calibration tg_port_calibration(void)
{
    return (tg_counter_calibration){.kind = TG_COUNTER_TICKS, .instructions = 1, .ticks = 1};
}

bool tg_port_random(uint32_t *word)
{
    *word = next();
    return below(4) != 0;
}

void tg_port_reset(void)
{
    longjmp(reboot, 1);
}

static void run_board(void)
{
    if (setjmp(reboot) != 0) {
        resets++;
        tg_protocol_init();
    }
    while (to_board_read < to_board_length || tg_frame_pending() || tg_link.baud_before != 0) {
        tg_protocol_step();
    }
    to_board_length = to_board_read = 0;
}

static void put(const uint8_t *bytes, size_t count)
{
    const size_t room = sizeof(to_board) - to_board_length;

    count = count < room ? count : room;
    memcpy(to_board + to_board_length, bytes, count);
    to_board_length += count;
}

static size_t frame(uint8_t *wire, uint8_t command, const void *payload, size_t size)
{
    uint8_t body[BODY_MAX + 16];
    const tg_header header = {
        .command = command, .attempt = (uint8_t)next(), .sequence = sequence, .session = session};

    memcpy(body, &header, sizeof(header));
    memcpy(body + sizeof(header), payload, size);
    const uint32_t crc = tg_crc32(0, body, sizeof(header) + size);
    memcpy(body + sizeof(header) + size, &crc, sizeof(crc));
    return cobs_encode(body, sizeof(header) + size + sizeof(crc), wire);
}

static uint32_t hostile(void)
{
    static const uint32_t edges[] = {0, 1, 2, 3, 4, FAKE_X - 1, FAKE_X, FAKE_X + 1, TG_CHUNK_BYTES,
                                     TG_CHUNK_BYTES + 1, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000,
                                     0xFFFFFFFF};

    return below(4) == 0 ? next() : edges[below(sizeof(edges) / sizeof(edges[0]))];
}

/* A payload whose fields are plausible more often than not, so that every command is reached. */
static size_t make_payload(uint8_t command, uint8_t *payload)
{
    size_t size = 0;

    if (command == TG_RUN && below(2) == 0) {
        size = FAKE_X + FAKE_Y;
        for (size_t i = 0; i < size; i++) {
            payload[i] = (uint8_t)next();
        }
        return size;
    }
    if (command == TG_INVOKE && below(2) == 0) {
        const uint16_t first = tg_link.layers_done % 3;
        const uint16_t last = (uint16_t)(first + below(3U - first));
        uint32_t crc = 0;
        for (int i = 0; i < 2; i++) {
            crc = tg_crc32(crc, tg_the_model.inputs[i].data, tg_the_model.inputs[i].size_bytes);
        }
        const tg_invoke_request request = {
            .input_crc = crc, .first_layer = first, .last_layer = last, .output_bytes = (uint16_t)below(300)};
        memcpy(payload, &request, sizeof(request));
        return sizeof(request);
    }
    if (command == TG_WRITE_INPUT && below(2) == 0) {
        const uint16_t index = (uint16_t)(tg_link.input_index % 2);
        const tg_write_request request = {.offset = tg_link.input_offset, .index = index};
        memcpy(payload, &request, sizeof(request));
        size = index == 0 ? FAKE_X : FAKE_Y;
        for (size_t i = 0; i < size; i++) {
            payload[sizeof(request) + i] = (uint8_t)next();
        }
        return sizeof(request) + size - (tg_link.input_offset % (size + 1));
    }
    if (command == TG_READ_LAYER && below(2) == 0) {
        const tg_read_layer_request request = {
            .count = (uint16_t)below(FAKE_X + 1),
            .layer = (uint16_t)(tg_link.layers_done - 1),
        };
        memcpy(payload, &request, sizeof(request));
        return sizeof(request);
    }
    if (command == TG_SETTINGS && below(2) == 0) {
        const uint16_t index = (uint16_t)below(7);
        const uint32_t words = index < 6 ? tg_setting_words(&tg_the_model.settings[index]) : below(9);
        const tg_settings_entry entry = {.index = index, .words = (uint16_t)words};
        payload[0] = TG_SETTINGS_SET;
        memcpy(payload + 1, &entry, sizeof(entry));
        for (size_t i = 0; i < words; i++) {
            const uint32_t value = below(3) == 0 ? hostile() : below(12);
            memcpy(payload + 1 + sizeof(entry) + 4 * i, &value, sizeof(value));
        }
        return 1 + sizeof(entry) + 4 * words;
    }
    static const uint8_t sizes[] = {0, 2, 4, 5, 2, 6, 10, 8, 10, 64, 1, 4, 0, 7};
    const size_t right = command < sizeof(sizes) ? sizes[command] : below(64);
    size = below(8) == 0 ? below(BODY_MAX) : right + (command == TG_WRITE_INPUT ? below(FAKE_X + 2) : 0);
    for (size_t i = 0; i < size; i += 2) {
        const uint32_t value = below(3) == 0 ? hostile() : below(4);
        payload[i] = (uint8_t)value;
        payload[i + 1] = (uint8_t)(value >> 8);
    }
    return size;
}

static size_t damage(uint8_t *wire, size_t length)
{
    for (uint32_t times = below(3); times > 0 && length > 4; times--) {
        const size_t at = below((uint32_t)length);
        switch (below(5)) {
        case 0:
            wire[at] ^= (uint8_t)(1U << below(8));
            break;
        case 1:
            memmove(wire + at, wire + at + 1, length - at - 1);
            length--;
            break;
        case 2:
            memmove(wire + at + 1, wire + at, length - at);
            wire[at] = (uint8_t)next();
            length++;
            break;
        case 3:
            length = at;
            break;
        default:
            wire[at] = (uint8_t)(below(2) ? 0 : 255);
            break;
        }
    }
    return length;
}

/* What an honest host would ask now, or anything. */
static uint8_t choose_command(bool honest)
{
    if (!honest) {
        return (uint8_t)(below(16) == 0 ? next() : below(15));
    }
    if (tg_link.layers_done == 0) {
        return tg_link.input_index < 2 ? TG_WRITE_INPUT : TG_INVOKE;
    }
    if (tg_link.layers_done == 3) {
        return below(2) ? TG_READ_OUTPUT : TG_WRITE_INPUT;
    }
    return below(2) ? TG_READ_LAYER : TG_INVOKE;
}

static void hostile_burst(void)
{
    const bool honest = below(2) == 0;
    uint8_t payload[BODY_MAX + 2];
    uint8_t wire[2 * BODY_MAX];

    for (uint32_t count = 1 + below(8); count > 0; count--) {
        const uint8_t command = choose_command(honest && below(4) != 0);
        const uint32_t kept = session;
        if (below(16) == 0) {
            session = below(2) ? next() : 0;
        }
        sequence = (uint16_t)(sequence + (below(8) == 0 ? next() : 1));
        size_t length = frame(wire, command, payload, make_payload(command, payload));
        session = command == TG_HELLO && session != 0 ? session : kept;
        length = below(honest ? 8 : 2) == 0 ? damage(wire, length) : length;
        put(wire, length);
        if (below(8) == 0) {
            put(wire, length);
        }
        if (below(16) == 0) {
            for (size_t i = 0; i < sizeof(wire); i++) {
                wire[i] = (uint8_t)next();
            }
            put(wire, below(sizeof(wire)));
        }
        if (honest || below(3)) {
            run_board(); /* so that the next payload fits the state */
        }
    }
    run_board();
}

/* Every answer is a good frame; the last one's body is left in `body`. */
static size_t read_answers(uint8_t *body)
{
    size_t start = 0;
    size_t length = 0;

    for (size_t i = 0; i < to_host_length; i++) {
        if (to_host[i] != 0) {
            continue;
        }
        if (i > start) {
            uint32_t crc;
            length = cobs_decode(to_host + start, i - start, body);
            if (length < TG_HEADER_BYTES + TG_CRC_BYTES || length > TG_FRAME_BYTES) {
                fail("the board sent a frame of impossible length");
            }
            length -= TG_CRC_BYTES;
            memcpy(&crc, body + length, sizeof(crc));
            if (crc != tg_crc32(0, body, length)) {
                fail("the board sent a frame with a wrong CRC");
            }
            if (body[0] == (TG_REPLY | TG_ERROR)) {
                refused++;
            } else {
                carried_out[body[0] % COMMANDS]++;
            }
        }
        start = i + 1;
    }
    if (start != to_host_length) {
        fail("the board sent half a frame");
    }
    to_host_length = 0;
    return length;
}

static void clean_exchange(void)
{
    static const tg_hello_request hello = {.version = TG_PROTOCOL_VERSION};
    int8_t samples[FAKE_X + FAKE_Y];
    uint8_t wire[2 * BODY_MAX];
    uint8_t body[WIRE_MAX];
    int32_t sum = 0;
    int32_t found;

    session = next() | 1U;
    sequence = (uint16_t)next();
    put(wire, frame(wire, TG_HELLO, &hello, sizeof(hello)));
    run_board();
    if (read_answers(body) != TG_HEADER_BYTES + sizeof(tg_hello_reply) || body[0] != (TG_REPLY | TG_HELLO)) {
        fail("HELLO was not answered");
    }

    for (size_t i = 0; i < sizeof(samples); i++) {
        samples[i] = (int8_t)(uint8_t)next();
    }
    for (size_t i = 0; i < FAKE_X; i++) {
        sum += 3 * (int8_t)(uint8_t)(samples[i] + samples[FAKE_X + i % FAKE_Y]);
    }
#ifdef TG_STAGES
    const int8_t first = (int8_t)(uint8_t)(samples[0] + samples[FAKE_X]);
    sum = first >= (int32_t)fake_area[FAKE_LEVEL] ? first : sum;
#endif
    sequence++;
    put(wire, frame(wire, TG_RUN, samples, sizeof(samples)));
    run_board();
    if (read_answers(body) != TG_HEADER_BYTES + sizeof(tg_invoke_reply) + sizeof(sum) + FAKE_X ||
        body[0] != (TG_REPLY | TG_RUN)) {
        fail("RUN was not answered");
    }
    memcpy(&found, body + TG_HEADER_BYTES + sizeof(tg_invoke_reply), sizeof(found));
    if (found != sum) {
        fail("RUN was answered with a wrong result");
    }
}

int main(int count, char **arguments)
{
    static uint8_t body[WIRE_MAX];
    const uint64_t seed = count > 1 ? strtoull(arguments[1], NULL, 10) : 1;
    const time_t seconds = count > 2 ? (time_t)strtoul(arguments[2], NULL, 10) : 10;
    const time_t start = time(NULL);
    unsigned long bursts = 0;

    state = seed * 0x9E3779B97F4A7C15U + 1U;
    tg_stack_paint();
    tg_protocol_init();
    do {
        for (int i = 0; i < 64; i++, bursts++) {
            hostile_burst();
            read_answers(body);
            clean_exchange();
        }
    } while (time(NULL) - start < seconds);

    printf("bursts %lu\nresets %lu\nrefused %lu\n", bursts, resets, refused);
    for (int command = 0; command < COMMANDS; command++) {
        if (carried_out[command] != 0) {
            printf("command_%d %lu\n", command, carried_out[command]);
        }
    }
    return 0;
}
