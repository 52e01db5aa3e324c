/* SPDX-License-Identifier: Apache-2.0 */
/* Framing for the fuzzer's side. */
#ifndef FUZZ_COBS_H
#define FUZZ_COBS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* COBS, written differently from the runtime's: the code is patched in once its block is known. */
static inline size_t cobs_encode(const uint8_t *body, size_t length, uint8_t *wire)
{
    size_t code = 1;
    size_t end = 2;

    wire[0] = 0;
    for (size_t i = 0; i < length; i++) {
        if (body[i] != 0) {
            wire[end++] = body[i];
        }
        if (body[i] == 0 || end - code == 255) {
            wire[code] = (uint8_t)(end - code);
            code = end++;
        }
    }
    wire[code] = (uint8_t)(end - code);
    wire[end++] = 0;
    return end;
}

/* Returns 0 when it is no COBS. */
static inline size_t cobs_decode(const uint8_t *wire, size_t length, uint8_t *body)
{
    size_t out = 0;

    for (size_t i = 0; i < length;) {
        const uint8_t code = wire[i++];
        if (code == 0 || i + code - 1U > length) {
            return 0;
        }
        memcpy(body + out, wire + i, code - 1U);
        out += code - 1U;
        i += code - 1U;
        if (code != 255 && i < length) {
            body[out++] = 0;
        }
    }
    return out;
}

#endif
