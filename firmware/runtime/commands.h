/* SPDX-License-Identifier: Apache-2.0 */
/* What each command does. */
#ifndef TG_RUNTIME_COMMANDS_H
#define TG_RUNTIME_COMMANDS_H

#include <stdint.h>

#include "tinyguard/protocol.h"

typedef struct {
    const uint8_t *payload; /* of the request */
    uint32_t count;
    uint8_t *reply; /* room for TG_FIXED_BYTES + TG_CHUNK_BYTES */
    uint32_t reply_count;
} tg_exchange;

typedef struct {
    uint8_t code; /* TG_OK or TG_ERROR_... */
    uint16_t layer;
    uint32_t detail;
} tg_result;

static inline tg_result tg_done(void)
{
    return (tg_result){.code = TG_OK, .layer = TG_NO_LAYER, .detail = 0};
}

static inline tg_result tg_failed(uint8_t code, uint32_t detail)
{
    return (tg_result){.code = code, .layer = TG_NO_LAYER, .detail = detail};
}

/* Carries out any command but those that act after their reply (SET_BAUD, RESET: protocol.c). */
tg_result tg_command(uint8_t command, tg_exchange *exchange);

#endif
