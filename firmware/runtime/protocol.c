/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol.h"

#include <string.h>

#include "commands.h"
#include "frame.h"
#include "inference.h"
#include "link.h"
#include "tinyguard/port.h"

/* A new baud rate that brings no valid frame within this time is given up. */
#define BAUD_TRIAL_SECONDS 2u

tg_link_state tg_link __attribute__((section(".tg_link"), aligned(8)));

void tg_protocol_init(void)
{
    memset(&tg_link, 0, sizeof(tg_link));
    tg_link.baud = TG_BAUD;
    tg_inference_init();
}

static uint32_t put_error(uint8_t *payload, uint8_t command, tg_result result)
{
    const tg_error_reply reply = {
        .code = result.code,
        .command = command,
        .layer = result.layer,
        .detail = result.detail,
    };

    memcpy(payload, &reply, sizeof(reply));
    return (uint32_t)sizeof(reply);
}

/* This answer and the next are not kept: the last real reply stays where it is. */
static void send_nak(void)
{
    const tg_header header = {.command = TG_REPLY | TG_NAK};
    uint8_t body[TG_HEADER_BYTES + TG_CRC_BYTES];

    memcpy(body, &header, sizeof(header));
    tg_frame_send(body, sizeof(header));
}

static void send_no_session(tg_header header)
{
    const tg_result result = {.code = TG_ERROR_SESSION, .layer = TG_NO_LAYER};
    uint8_t body[TG_HEADER_BYTES + sizeof(tg_error_reply) + TG_CRC_BYTES];
    const uint32_t size = put_error(body + sizeof(header), header.command, result);

    header.command = TG_REPLY | TG_ERROR;
    memcpy(body, &header, sizeof(header));
    tg_frame_send(body, sizeof(header) + size);
}

static void send_reply(uint8_t attempt)
{
    tg_link.reply[offsetof(tg_header, attempt)] = attempt;
    tg_frame_send(tg_link.reply, tg_link.reply_length);
}

/* Fails before the reply when the rate cannot be had; the rate in force does not change here. */
static tg_result check_baud(const tg_exchange *exchange, uint32_t *baud)
{
    tg_set_baud_request request;

    if (exchange->count != sizeof(request)) {
        return (tg_result){.code = TG_ERROR_LENGTH, .layer = TG_NO_LAYER, .detail = exchange->count};
    }
    memcpy(&request, exchange->payload, sizeof(request));
    *baud = request.baud;
    if (!tg_port_set_baud(request.baud)) {
        return (tg_result){.code = TG_ERROR_BAUD, .layer = TG_NO_LAYER, .detail = request.baud};
    }
    (void)tg_port_set_baud(tg_link.baud);
    return (tg_result){.code = TG_OK, .layer = TG_NO_LAYER};
}

static void try_baud(uint32_t baud)
{
    if (tg_port_set_baud(baud)) {
        tg_link.baud_before = tg_link.baud;
        tg_link.baud = baud;
        tg_link.baud_since = tg_port_counter_read();
    }
}

/* The rate was not proved: go back, and answer a repeated SET_BAUD with what has become of it. */
static void give_up_baud(void)
{
    const tg_result result = {.code = TG_ERROR_BAUD, .layer = TG_NO_LAYER, .detail = tg_link.baud};

    (void)tg_port_set_baud(tg_link.baud_before);
    tg_link.baud = tg_link.baud_before;
    tg_link.baud_before = 0;
    tg_link.reply[offsetof(tg_header, command)] = TG_REPLY | TG_ERROR;
    tg_link.reply_length = TG_HEADER_BYTES + put_error(tg_link.reply + TG_HEADER_BYTES, TG_SET_BAUD, result);
}

static void carry_out(tg_header header, size_t length)
{
    tg_exchange exchange = {
        .payload = tg_link.received + sizeof(header),
        .count = (uint32_t)(length - sizeof(header)),
        .reply = tg_link.reply + sizeof(header),
    };
    const uint8_t command = header.command;
    uint32_t baud = 0;
    tg_result result = {.code = TG_OK, .layer = TG_NO_LAYER};

    if (command == TG_SET_BAUD) {
        result = check_baud(&exchange, &baud);
    } else if (command != TG_RESET) {
        result = tg_command(command, &exchange);
    }
    header.command = TG_REPLY | (result.code == TG_OK ? command : TG_ERROR);
    if (result.code != TG_OK) {
        exchange.reply_count = put_error(exchange.reply, command, result);
    }
    memcpy(tg_link.reply, &header, sizeof(header));
    tg_link.reply_length = (uint32_t)sizeof(header) + exchange.reply_count;
    send_reply(header.attempt);

    if (result.code == TG_OK && command == TG_SET_BAUD) {
        try_baud(baud);
    } else if (result.code == TG_OK && command == TG_RESET) {
        /* Changing the rate waits for the transmitter to be empty, so the reply gets out. */
        (void)tg_port_set_baud(tg_link.baud);
        tg_port_reset();
    }
}

static void answer(size_t length)
{
    tg_header header;
    int16_t ahead;

    memcpy(&header, tg_link.received, sizeof(header));
    if (header.session == 0 || (header.command & TG_REPLY) != 0) {
        return;
    }
    if (header.session != tg_link.session) {
        if (header.command != TG_HELLO) {
            send_no_session(header);
            return;
        }
        tg_link.session = header.session;
        tg_link.reply_length = 0;
        tg_inference_forget();
    }
    tg_link.baud_before = 0;
    ahead = (int16_t)(uint16_t)(header.sequence - tg_link.sequence);
    if (tg_link.reply_length != 0 && ahead == 0) {
        send_reply(header.attempt);
        return;
    }
    if (tg_link.reply_length != 0 && ahead < 0) {
        return; /* late: the host has given it up */
    }
    tg_link.sequence = header.sequence;
    carry_out(header, length);
}

static void receive(uint8_t byte)
{
    size_t length = 0;

    switch (tg_frame_feed(byte, &length)) {
    case TG_FRAME_COMPLETE:
        answer(length);
        break;
    case TG_FRAME_BROKEN:
        /* With more on its way, the host has sent again already. */
        if (!tg_frame_pending()) {
            send_nak();
        }
        break;
    default:
        break;
    }
}

void tg_protocol_step(void)
{
    const uint64_t trial = (uint64_t)BAUD_TRIAL_SECONDS * tg_port_clock_hz();
    uint8_t byte;

    if (tg_frame_take(&byte)) {
        receive(byte);
    } else if (tg_link.baud_before == 0) {
        tg_port_wait();
    } else if (tg_port_counter_read() - tg_link.baud_since > trial) {
        /* No sleep on trial: nothing else would wake the core at the wrong rate. */
        give_up_baud();
    }
}
