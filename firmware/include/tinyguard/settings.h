/* SPDX-License-Identifier: Apache-2.0 */
/* What may become the value of a setting: for the runtime, the library and the batch program alike. */
#ifndef TINYGUARD_SETTINGS_H
#define TINYGUARD_SETTINGS_H

#include <stdbool.h>
#include <string.h>

#include "tinyguard/model.h"

static inline uint32_t tg_setting_entry_words(const tg_setting *setting)
{
    return setting->kind == TG_WIDE ? 2u : 1u;
}

/* Of the whole value. */
static inline uint32_t tg_setting_words(const tg_setting *setting)
{
    return setting->count * tg_setting_entry_words(setting);
}

/* An entry as a number that is compared without a sign: signed ones keep their order. */
static inline uint64_t tg_setting_order(const tg_setting *setting, const uint8_t *entry)
{
    uint32_t words[2] = {0, 0};

    memcpy(words, entry, 4 * tg_setting_entry_words(setting));
    return setting->kind == TG_WIDE ? (uint64_t)words[1] << 32 | words[0] : words[0] ^ 0x80000000u;
}

/* Whether each entry of tg_setting_words() words is in its range; `words` need not be aligned. */
static inline bool tg_setting_accepts(const tg_setting *setting, const uint8_t *words)
{
    const uint32_t entry_bytes = 4 * tg_setting_entry_words(setting);
    const uint8_t *range = (const uint8_t *)setting->ranges;

    for (uint32_t left = setting->count; left > 0; left--) {
        const uint64_t order = tg_setting_order(setting, words);

        if (order < tg_setting_order(setting, range) ||
            order > tg_setting_order(setting, range + entry_bytes)) {
            return false;
        }
        words += entry_bytes;
        range += 2 * entry_bytes;
    }
    return true;
}

static inline void tg_setting_put(const tg_setting *setting, const void *words)
{
    memcpy(setting->value, words, 4 * tg_setting_words(setting));
}

/* Back to what the file says. */
static inline void tg_settings_to_file(const tg_model *model)
{
    for (uint32_t i = 0; i < model->setting_count; i++) {
        tg_setting_put(&model->settings[i], model->settings[i].file_value);
    }
}

#endif
