/* SPDX-License-Identifier: Apache-2.0 */
/* A network of one layer, out = 127 - in, with some constants and an arena. */
#include "tinyguard/model.h"

#define VALUES 8

__attribute__((section(".tg_arena"), aligned(16))) uint8_t tg_arena[48];
__attribute__((section(".tg_constants"), aligned(4))) const int8_t tg_offsets[VALUES] = {127, 127, 127, 127,
                                                                                        127, 127, 127, 127};

static void layer(void) {
    for (int i = 0; i < VALUES; i++) {
        tg_arena[16 + i] = (uint8_t)(tg_offsets[i] - (int8_t)tg_arena[i]);
    }
}

#define TENSOR(where)                                                                                        \
    {.data = (where), .size_bytes = VALUES, .scale = 1.0f, .dtype = TG_INT8, .rank = 2, .shape = {1, VALUES}}

static const tg_tensor inputs[] = {TENSOR(tg_arena)};
static const tg_tensor outputs[] = {TENSOR(tg_arena + 16)};
static const tg_layer layers[] = {{.run = layer, .outputs = outputs, .output_count = 1}};

const tg_model tg_the_model = {
    .sha256 = {1, 2, 3},
    .inputs = inputs,
    .outputs = outputs,
    .layers = layers,
    .arena_bytes = sizeof tg_arena,
    .input_count = 1,
    .output_count = 1,
    .layer_count = 1,
};
