/* SPDX-License-Identifier: Apache-2.0 */
#include "tg_model.h"

#include "tinyguard/settings.h"
#include "tinyguard/stages.h"

static uint32_t next_layer;

void tg_model_init(void)
{
    /* Weights are constant and every layer writes before it reads: there are settings, at most. */
    tg_settings_to_file(&tg_the_model);
    next_layer = 0;
}

int tg_model_set(uint32_t setting, const uint32_t *value, uint32_t words)
{
    if (setting >= tg_the_model.setting_count) {
        return 0;
    }

    const tg_setting *one = &tg_the_model.settings[setting];
    if (words != tg_setting_words(one) || !tg_setting_accepts(one, (const uint8_t *)value)) {
        return 0;
    }
    tg_setting_put(one, value);
    return 1;
}

int tg_model_get(uint32_t setting, uint32_t *value, uint32_t words)
{
    if (setting >= tg_the_model.setting_count) {
        return 0;
    }

    const tg_setting *one = &tg_the_model.settings[setting];
    if (words != tg_setting_words(one)) {
        return 0;
    }
    memcpy(value, one->value, words * sizeof(*value));
    return 1;
}

void tg_model_seed(uint32_t low, uint32_t high)
{
#ifdef TG_MODEL_SETTING_SEED
    const uint32_t words[2] = {low, high};

    (void)tg_model_set(TG_MODEL_SETTING_SEED, words, 2);
#else
    (void)low;
    (void)high;
#endif
}

void tg_model_begin(void)
{
    next_layer = 0;
}

int tg_model_next(void)
{
    next_layer = tg_run_stage(&tg_the_model, next_layer);
    if (next_layer == tg_the_model.layer_count) {
        next_layer = 0;
        return 0;
    }
    return 1;
}

void tg_model_invoke(void)
{
    tg_model_begin();
    while (tg_model_next()) {
    }
}

const int32_t *tg_model_decision(void)
{
    return tg_the_model.taken;
}

void *tg_model_input(uint32_t index)
{
    return index < tg_the_model.input_count ? tg_the_model.inputs[index].data : 0;
}

const void *tg_model_output(uint32_t index)
{
    return index < tg_the_model.output_count ? tg_the_model.outputs[index].data : 0;
}
