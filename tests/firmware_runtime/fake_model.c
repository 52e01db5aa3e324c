/* Two inputs, three layers, two outputs; small enough to be done again in three lines of NumPy.
   layer 0: a[i] = x0[i] + x1[i % Y]; layer 1: a[i] and b[i] = 3 * a[i]; layer 2: sum of b, reversed a. */
#include <string.h>

#include "fake_model.h"
#include "tinyguard/model.h"

static int8_t x0[FAKE_X];
static int8_t x1[FAKE_Y];
static int8_t a[FAKE_X];
static int16_t b[FAKE_X];
static int8_t reversed[FAKE_X];
static int32_t sum;

uint32_t fake_work;

static void add(void)
{
    for (int i = 0; i < FAKE_X; i++) {
        a[i] = (int8_t)(uint8_t)((uint8_t)x0[i] + (uint8_t)x1[i % FAKE_Y]);
    }
    memset(x0, 0x55, sizeof(x0)); /* inputs do not outlive the first layer */
    fake_work += FAKE_X;
}

static void triple(void)
{
    for (int i = 0; i < FAKE_X; i++) {
        b[i] = (int16_t)(3 * a[i]);
    }
    fake_work += 2 * FAKE_X;
}

static void finish(void)
{
    sum = 0;
    for (int i = 0; i < FAKE_X; i++) {
        sum += b[i];
        reversed[i] = a[FAKE_X - 1 - i];
    }
    fake_work += 3 * FAKE_X;
}

static const tg_tensor inputs[2] = {
    {
        .data = (uint8_t *)x0,
        .size_bytes = sizeof(x0),
        .scale = 0.5F,
        .zero_point = -3,
        .dtype = TG_INT8,
        .rank = 3,
        .shape = {1, FAKE_X / 4, 4},
    },
    {
        .data = (uint8_t *)x1,
        .size_bytes = sizeof(x1),
        .scale = 0.25F,
        .zero_point = 7,
        .dtype = TG_INT8,
        .rank = 2,
        .shape = {1, FAKE_Y},
    },
};
static const tg_tensor outputs[2] = {
    {
        .data = (uint8_t *)&sum,
        .size_bytes = sizeof(sum),
        .scale = 1.5F,
        .zero_point = 0,
        .dtype = TG_INT32,
        .rank = 1,
        .shape = {1},
    },
    {
        .data = (uint8_t *)reversed,
        .size_bytes = sizeof(reversed),
        .scale = 0.5F,
        .zero_point = -3,
        .dtype = TG_INT8,
        .rank = 2,
        .shape = {1, FAKE_X},
    },
};
/* The first one is layer 0's as well. */
static const tg_tensor hidden[2] = {
    {
        .data = (uint8_t *)a,
        .size_bytes = sizeof(a),
        .scale = 0.5F,
        .zero_point = 0,
        .dtype = TG_INT8,
        .rank = 2,
        .shape = {1, FAKE_X},
    },
    {
        .data = (uint8_t *)b,
        .size_bytes = sizeof(b),
        .scale = 0.5F,
        .zero_point = 0,
        .dtype = TG_INT16,
        .rank = 2,
        .shape = {1, FAKE_X},
    },
};
static const tg_layer layers[3] = {
    {.run = add, .outputs = hidden, .output_count = 1},
    {.run = triple, .outputs = hidden, .output_count = 2},
    {.run = finish, .outputs = outputs, .output_count = 2},
};

static uint32_t seed[2];

const tg_model tg_the_model = {
    .sha256 = {0xFA, 0xCE, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
               15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30},
    .inputs = inputs,
    .outputs = outputs,
    .layers = layers,
    .seed = seed,
    .default_seed = {5, 6},
    .arena_bytes = 4321,
    .input_count = 2,
    .output_count = 2,
    .layer_count = 3,
};
