/* SPDX-License-Identifier: Apache-2.0 */
#include "frame.h"

#include "link.h"
#include "tinyguard/port.h"

#define COBS_FULL_BLOCK 0xFF

uint32_t tg_crc32(uint32_t crc, const uint8_t *bytes, size_t count)
{
    static const uint32_t nibble[16] = {
        0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4, 0x4DB26158, 0x5005713C,
        0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C, 0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C,
    };

    crc = ~crc;
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        crc = (crc >> 4) ^ nibble[crc & 15];
        crc = (crc >> 4) ^ nibble[crc & 15];
    }
    return ~crc;
}

bool tg_frame_pending(void)
{
    if (!tg_link.ahead_valid) {
        tg_link.ahead_valid = tg_port_read(&tg_link.ahead, 1) == 1;
    }
    return tg_link.ahead_valid;
}

bool tg_frame_take(uint8_t *byte)
{
    if (!tg_frame_pending()) {
        return false;
    }
    *byte = tg_link.ahead;
    tg_link.ahead_valid = false;
    return true;
}

static void append(uint8_t byte)
{
    if (tg_link.length < sizeof(tg_link.received)) {
        tg_link.received[tg_link.length++] = byte;
    } else {
        tg_link.broken = true;
    }
}

static uint32_t little_endian(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static tg_frame_event finish(size_t *length)
{
    const bool some = tg_link.some;
    const bool cut_short = tg_link.block_left != 0;
    const size_t received = tg_link.length;
    bool good = !tg_link.broken && !cut_short && received >= TG_HEADER_BYTES + TG_CRC_BYTES;

    tg_link.some = tg_link.broken = tg_link.block_zero = false;
    tg_link.block_left = 0;
    tg_link.length = 0;
    if (!some) {
        return TG_FRAME_PARTIAL;
    }
    if (good) {
        *length = received - TG_CRC_BYTES;
        good = tg_crc32(0, tg_link.received, *length) == little_endian(tg_link.received + *length);
    }
    if (good) {
        tg_link.frames++;
        return TG_FRAME_COMPLETE;
    }
    tg_link.frame_errors++;
    return TG_FRAME_BROKEN;
}

tg_frame_event tg_frame_feed(uint8_t byte, size_t *length)
{
    if (byte == 0) {
        return finish(length);
    }
    tg_link.some = true;
    if (tg_link.block_left != 0) {
        tg_link.block_left--;
        append(byte);
        return TG_FRAME_PARTIAL;
    }
    if (tg_link.block_zero) {
        append(0);
    }
    tg_link.block_left = (uint8_t)(byte - 1);
    tg_link.block_zero = byte != COBS_FULL_BLOCK;
    return TG_FRAME_PARTIAL;
}

void tg_frame_send(uint8_t *body, size_t length)
{
    static const uint8_t delimiter = 0;
    const uint32_t crc = tg_crc32(0, body, length);
    size_t start = 0;
    bool more = true;

    for (size_t i = 0; i < TG_CRC_BYTES; i++) {
        body[length++] = (uint8_t)(crc >> (8 * i));
    }
    tg_port_write(&delimiter, 1);
    while (more) {
        size_t end = start;
        while (end < length && body[end] != 0 && end - start < COBS_FULL_BLOCK - 1) {
            end++;
        }
        const uint8_t code = (uint8_t)(end - start + 1);
        tg_port_write(&code, 1);
        tg_port_write(body + start, end - start);
        more = end < length;
        start = code == COBS_FULL_BLOCK ? end : end + 1;
    }
    tg_port_write(&delimiter, 1);
}
