/* SPDX-License-Identifier: Apache-2.0 */
/* Running a network that may answer early: for the runtime, the library and the batch program alike. */
#ifndef TINYGUARD_STAGES_H
#define TINYGUARD_STAGES_H

#include "tinyguard/model.h"

/* Run the stage that begins with `layer`: the layer that follows it, or the number of layers once the answer
   stands. A network without stages is one. */
static inline uint32_t tg_run_stage(const tg_model *model, uint32_t layer)
{
    uint32_t end = model->layer_count;

    for (uint32_t i = model->stage_count; i > 0 && model->stage_ends[i - 1] > layer; i--) {
        end = model->stage_ends[i - 1];
    }
    while (layer < end) {
        model->layers[layer].run();
        layer++;
    }
    return model->stage_count != 0 && *model->taken != 0 ? model->layer_count : end;
}

#endif
