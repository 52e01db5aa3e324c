/* SPDX-License-Identifier: Apache-2.0 */
/* COBS frames with a CRC-32 over the port. */
#ifndef TG_RUNTIME_FRAME_H
#define TG_RUNTIME_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum { TG_FRAME_PARTIAL, TG_FRAME_COMPLETE, TG_FRAME_BROKEN } tg_frame_event;

/* CRC-32 (IEEE 802.3, zlib's); start with 0, continue with the last result. */
uint32_t tg_crc32(uint32_t crc, const uint8_t *bytes, size_t count);

/* One received byte, if there is one; never blocks. */
bool tg_frame_take(uint8_t *byte);

/* Whether a byte waits to be taken. */
bool tg_frame_pending(void);

/* Feed one byte. After TG_FRAME_COMPLETE, tg_link.received holds `*length` bytes of header and payload until
   the next byte is fed. */
tg_frame_event tg_frame_feed(uint8_t byte, size_t *length);

/* Send header and payload, `length` bytes; writes the CRC-32 into the TG_CRC_BYTES after them. */
void tg_frame_send(uint8_t *body, size_t length);

#endif
