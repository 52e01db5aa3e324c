/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"

#include <string.h>

#include "link.h"
#include "tinyguard/port.h"
#include "tinyguard/settings.h"

#define WORD_BYTES ((uint32_t)sizeof(uint32_t))

_Static_assert(sizeof(tg_settings_tell_reply) <= TG_FIXED_BYTES, "fixed part");
_Static_assert(sizeof(tg_link.settings_given) * 8 >= TG_SETTINGS_MAX, "a bit for each");

void tg_settings_start(void)
{
    tg_link.settings_given = 0;
    tg_settings_to_file(&tg_the_model);
}

static bool is_drawn(uint32_t index)
{
    return tg_the_model.settings[index].drawn && (tg_link.settings_given >> index & 1u) == 0;
}

/* On a chip with a generator nobody knows the value beforehand, unless somebody has given one. */
void tg_settings_draw(void)
{
    uint32_t words[2];

    for (uint32_t i = 0; i < tg_the_model.setting_count; i++) {
        if (is_drawn(i) && tg_port_random(&words[0]) && tg_port_random(&words[1])) {
            tg_setting_put(&tg_the_model.settings[i], words);
        }
    }
}

static tg_result tell(tg_exchange *exchange)
{
    tg_settings_tell_request request;
    uint32_t word;

    if (exchange->count != sizeof(request)) {
        return tg_failed(TG_ERROR_LENGTH, exchange->count);
    }
    memcpy(&request, exchange->payload, sizeof(request));
    if (request.index >= tg_the_model.setting_count) {
        return tg_failed(TG_ERROR_INDEX, request.index);
    }

    const tg_setting *setting = &tg_the_model.settings[request.index];
    const uint32_t end = (uint32_t)request.first + request.words;
    const uint32_t bytes = WORD_BYTES * request.words;
    if (end > tg_setting_words(setting) || bytes > TG_CHUNK_BYTES) {
        return tg_failed(TG_ERROR_RANGE, end);
    }
    const tg_settings_tell_reply reply = {
        .setting_count = tg_the_model.setting_count,
        .count = setting->count,
        .kind = setting->kind,
        .drawn = is_drawn(request.index) && tg_port_random(&word),
    };
    memcpy(exchange->reply, &reply, sizeof(reply));
    memcpy(exchange->reply + sizeof(reply), setting->value + request.first, bytes);
    exchange->reply_count = (uint32_t)sizeof(reply) + bytes;
    return tg_done();
}

/* Goes through the entries once to check them all, and only then once more to write them. */
static tg_result set(const tg_exchange *exchange)
{
    for (int writing = 0; writing < 2; writing++) {
        const uint8_t *at = exchange->payload + 1;
        uint32_t left = exchange->count - 1;

        while (left > 0) {
            tg_settings_entry entry;

            if (left < sizeof(entry)) {
                return tg_failed(TG_ERROR_LENGTH, exchange->count);
            }
            memcpy(&entry, at, sizeof(entry));
            at += sizeof(entry);
            left -= (uint32_t)sizeof(entry);
            if (entry.index >= tg_the_model.setting_count) {
                return tg_failed(TG_ERROR_INDEX, entry.index);
            }

            const tg_setting *setting = &tg_the_model.settings[entry.index];
            if (entry.words != tg_setting_words(setting) || WORD_BYTES * entry.words > left) {
                return tg_failed(TG_ERROR_LENGTH, exchange->count);
            }
            if (!tg_setting_accepts(setting, at)) {
                return tg_failed(TG_ERROR_RANGE, entry.index);
            }
            if (writing) {
                tg_setting_put(setting, at);
                tg_link.settings_given |= 1u << entry.index;
            }
            at += WORD_BYTES * entry.words;
            left -= WORD_BYTES * entry.words;
        }
    }
    return tg_done();
}

static tg_result restore(const tg_exchange *exchange)
{
    const uint32_t bytes = exchange->count - 1;
    uint16_t index;

    if (bytes % sizeof(index) != 0) {
        return tg_failed(TG_ERROR_LENGTH, exchange->count);
    }
    if (bytes == 0) {
        tg_settings_start();
    }
    for (int writing = 0; writing < 2; writing++) {
        for (uint32_t i = 0; i < bytes; i += (uint32_t)sizeof(index)) {
            memcpy(&index, exchange->payload + 1 + i, sizeof(index));
            if (index >= tg_the_model.setting_count) {
                return tg_failed(TG_ERROR_INDEX, index);
            }
            if (writing) {
                tg_setting_put(&tg_the_model.settings[index], tg_the_model.settings[index].file_value);
                tg_link.settings_given &= ~(1u << index);
            }
        }
    }
    return tg_done();
}

tg_result tg_settings_command(tg_exchange *exchange)
{
    if (exchange->count == 0) {
        return tg_failed(TG_ERROR_LENGTH, 0);
    }
    if (tg_link.layers_done != 0 && tg_link.layers_done != tg_the_model.layer_count) {
        return (tg_result){.code = TG_ERROR_ORDER, .layer = tg_link.layers_done};
    }
    switch (exchange->payload[0]) {
    case TG_SETTINGS_TELL:
        return tell(exchange);
    case TG_SETTINGS_SET:
        return set(exchange);
    case TG_SETTINGS_RESTORE:
        return restore(exchange);
    default:
        return tg_failed(TG_ERROR_INDEX, exchange->payload[0]);
    }
}
