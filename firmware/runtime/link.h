/* SPDX-License-Identifier: Apache-2.0 */
/* Everything the runtime remembers, in one struct. */
#ifndef TG_RUNTIME_LINK_H
#define TG_RUNTIME_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "board.h"
#include "tinyguard/protocol.h"

#ifndef TG_BUILD_ID
#define TG_BUILD_ID ""
#endif

#define TG_FRAME_BYTES (TG_HEADER_BYTES + TG_FIXED_BYTES + TG_CHUNK_BYTES + TG_CRC_BYTES)

/* tinyguard/device/layout.py computes the same. */
#define TG_LINK_FIXED_BYTES 72
#define TG_LINK_BYTES (TG_LINK_FIXED_BYTES + 2 * TG_FRAME_BYTES)

typedef struct {
    uint64_t counter_overhead; /* what measuring nothing counts */
    uint64_t baud_since;       /* counter when the rate was changed */
    uint32_t session;
    uint32_t frames;
    uint32_t frame_errors;
    uint32_t length;         /* bytes decoded of the frame that is arriving */
    uint32_t reply_length;   /* header and payload of the last reply; 0: none */
    uint32_t input_offset;   /* where the next byte of an input belongs */
    uint32_t stack_at_invoke;
    uint32_t baud;
    uint32_t baud_before;    /* to return to while the new rate has not been proved; 0: proved */
    uint32_t settings_given; /* one bit per setting: somebody gave a value, so that none is drawn */
    uint16_t sequence;       /* of the last request that was carried out */
    uint16_t input_index;
    uint16_t layers_done;
    uint8_t block_left;      /* COBS: bytes to come before the next code */
    bool block_zero;         /* COBS: a zero follows this block */
    bool broken;             /* this frame is not to be trusted */
    bool some;               /* a byte of this frame has arrived */
    bool ahead_valid;
    uint8_t ahead;           /* a byte taken early, to see whether there is one */
    uint8_t received[TG_FRAME_BYTES];
    uint8_t reply[TG_FRAME_BYTES];
} tg_link_state;

_Static_assert(TG_CHUNK_BYTES % 8 == 0, "the chunk keeps the state a multiple of 8");
_Static_assert(TG_CHUNK_BYTES >= TG_CHUNK_MIN && TG_CHUNK_BYTES <= TG_CHUNK_MAX, "chunk out of range");
_Static_assert(sizeof(tg_link_state) == TG_LINK_BYTES, "layout.py and tg_link_state disagree");
#ifdef TG_RUNTIME_STATE_BYTES
_Static_assert(sizeof(tg_link_state) == TG_RUNTIME_STATE_BYTES, "board.h and tg_link_state disagree");
#endif

extern tg_link_state tg_link;

#endif
