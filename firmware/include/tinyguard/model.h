/* SPDX-License-Identifier: Apache-2.0 */
/* What the generated model.c describes to the runtime: its inputs, outputs and layers. */
#ifndef TINYGUARD_MODEL_H
#define TINYGUARD_MODEL_H

#include <stdint.h>

#define TG_MAX_RANK 6
#define TG_SETTINGS_MAX 32

enum { TG_INT8 = 1, TG_INT16 = 2, TG_INT32 = 3, TG_FLOAT32 = 4 };

typedef struct {
    uint8_t *data; /* in the arena */
    uint32_t size_bytes;
    float scale; /* never computed with on the device; sent to the host as it is */
    int32_t zero_point;
    uint8_t dtype;
    uint8_t rank;
    uint32_t shape[TG_MAX_RANK]; /* batch included */
} tg_tensor;

typedef struct {
    void (*run)(void);
    const tg_tensor *outputs; /* valid from the end of run() to the start of the next layer's */
    uint16_t output_count;
} tg_layer;

enum { TG_BOOL = 1, TG_NUMBER = 2, TG_WIDE = 3, TG_NUMBERS = 4 };

/* A named number, or an array of them, that layers read when they run: bool, int32, uint64, array of int32. */
typedef struct {
    uint32_t *value;            /* in the arena; an entry is one word, or of TG_WIDE two, the low one first */
    const uint32_t *file_value; /* what the .tflite file says */
    const uint32_t *ranges;     /* lowest and highest value of each entry, both included */
    uint16_t count;             /* entries */
    uint8_t kind;
    uint8_t drawn; /* 1: drawn before every inference where the port can, until a value is given; TG_WIDE alone */
} tg_setting;

typedef struct {
    uint8_t sha256[32]; /* of the .tflite file */
    const tg_tensor *inputs;
    const tg_tensor *outputs;
    const tg_layer *layers; /* in execution order */
    const tg_setting *settings; /* at most TG_SETTINGS_MAX */
    const uint32_t *const *output_used; /* for each output, where its used bytes are counted, 0 where all are
                                           used; 0 where that is so for all */
    uint32_t arena_bytes;
    uint16_t input_count;
    uint16_t output_count;
    uint16_t layer_count;
    uint16_t setting_count;
    uint16_t stage_count;       /* 0: without exits */
    const uint16_t *stage_ends; /* the layer after each stage; the last is the number of layers */
    const int32_t *taken;       /* not 0 after a stage: the answer stands, and no later layer need run */
} tg_model;

/* Once, before the first inference: tg_settings_to_file (settings.h), where there are settings.

   Inference is: fill inputs[i].data, run every layer in order, read outputs[i].data. Inputs may be
   overwritten by the layers; outputs stay valid until an input is written again. With exits it may end after
   a stage (stages.h). */
extern const tg_model tg_the_model;

#endif
