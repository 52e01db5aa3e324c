/* What the generated model.c describes to the runtime: its inputs, outputs and layers. */
#ifndef TINYGUARD_MODEL_H
#define TINYGUARD_MODEL_H

#include <stdint.h>

#define TG_MAX_RANK 6

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

typedef struct {
    uint8_t sha256[32]; /* of the .tflite file */
    const tg_tensor *inputs;
    const tg_tensor *outputs;
    const tg_layer *layers; /* in execution order */
    uint32_t *seed;         /* of stochastic layers: low word, high word, in the arena; 0 where there are none */
    uint32_t default_seed[2];
    uint32_t arena_bytes;
    uint16_t input_count;
    uint16_t output_count;
    uint16_t layer_count;
} tg_model;

/* Once, before the first inference: copy default_seed to *seed, where there is one.

   Inference is: fill inputs[i].data, run every layer in order, read outputs[i].data. Inputs may be
   overwritten by the layers; outputs stay valid until an input is written again. */
extern const tg_model tg_the_model;

#endif
