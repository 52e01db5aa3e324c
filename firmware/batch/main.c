/* SPDX-License-Identifier: Apache-2.0 */
/* Reads requests from input.bin and writes the models' outputs to output.bin.
   A request is: model index and sample count (uint32, little endian), then the samples, each with
   all its inputs in order. The answer is every sample's outputs in order, and nothing else. */
#include "tinyguard/batch.h"

#include "stream.h"
#include "tinyguard/settings.h"
#include "tinyguard/stages.h"

static void run(const tg_model *model)
{
    tg_settings_to_file(model); /* models share the arena */
    for (uint32_t layer = 0; layer < model->layer_count;) {
        layer = tg_run_stage(model, layer);
    }
}

/* 0, or 1: no files, 2: no such model, 3: a sample cut short. */
static int answer_all(void)
{
    uint32_t request[2];
    if (!tg_stream_open()) {
        return 1;
    }
    while (tg_stream_read(request, sizeof request)) {
        if (request[0] >= tg_batch_count) {
            return 2;
        }
        const tg_model *model = tg_batch_models[request[0]];
        for (uint32_t sample = 0; sample < request[1]; sample++) {
            for (uint32_t i = 0; i < model->input_count; i++) {
                if (!tg_stream_read(model->inputs[i].data, model->inputs[i].size_bytes)) {
                    return 3;
                }
            }
            run(model);
            for (uint32_t i = 0; i < model->output_count; i++) {
                tg_stream_write(model->outputs[i].data, model->outputs[i].size_bytes);
            }
        }
    }
    return 0;
}

int main(void)
{
    return tg_stream_finish(answer_all());
}
