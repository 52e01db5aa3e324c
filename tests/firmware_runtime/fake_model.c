/* SPDX-License-Identifier: Apache-2.0 */
/* Two inputs, three layers, two outputs; small enough to be done again in three lines of NumPy.
   With FAKE_VARIABLE the second output is of variable length: sum, modulo FAKE_X + 8, counts its used bytes.
   With TG_STAGES layer 0 is a stage of its own, which answers a[0] and zeros where a[0] is the level or more.
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
#ifdef FAKE_VARIABLE
static uint32_t used;
static const uint32_t *const output_used[2] = {0, &used};
#endif
#ifdef TG_STAGES
static const uint16_t stage_ends[2] = {1, 3};
#endif
static int32_t taken;

uint32_t fake_work;

static void add(void)
{
    for (int i = 0; i < FAKE_X; i++) {
        a[i] = (int8_t)(uint8_t)((uint8_t)x0[i] + (uint8_t)x1[i % FAKE_Y]);
    }
    memset(x0, 0x55, sizeof(x0)); /* inputs do not outlive the first layer */
    fake_work += FAKE_X;
#ifdef TG_STAGES
    taken = a[0] >= (int32_t)fake_area[FAKE_LEVEL];
    sum = a[0];
    memset(reversed, 0, sizeof(reversed));
#endif
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
    fake_work += 3 * FAKE_X;
    if (taken) {
        return;
    }
    sum = 0;
    for (int i = 0; i < FAKE_X; i++) {
        sum += b[i];
        reversed[i] = a[FAKE_X - 1 - i];
    }
#ifdef FAKE_VARIABLE
    used = (uint32_t)sum % (FAKE_X + 8);
#endif
#ifdef TG_STAGES
    taken = 2;
#endif
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

uint32_t fake_area[FAKE_AREA_WORDS] __attribute__((aligned(8)));

#define MINUS(number) (0u - (number))
#define BYTE 0, 255

static const uint32_t every_wide[4] = {0, 0, 0xFFFFFFFFu, 0xFFFFFFFFu};
static const uint32_t a_switch[2] = {0, 1};
static const uint32_t level[2] = {MINUS(5), 1000};
static const uint32_t some_wide[4] = {10, 0, 0, 256};
static const uint32_t three[6] = {0, 10, MINUS(100), MINUS(1), 0x80000000u, 0x7FFFFFFFu};
static const uint32_t many[24] = {BYTE, BYTE, BYTE, BYTE, BYTE, BYTE, BYTE, BYTE, BYTE, BYTE, BYTE, BYTE};
static const uint32_t file[FAKE_AREA_WORDS] = {5, 6, 1, MINUS(3), 77, 0, 4, MINUS(50), 7,
                                               0, 1, 2, 3,        4,  5, 6, 7,         8, 9, 10, 11};

#define SETTING(offset, limits, entries, its_kind)                                                           \
    .value = fake_area + (offset), .file_value = file + (offset), .ranges = (limits), .count = (entries),    \
    .kind = (its_kind)

static const tg_setting settings[6] = {
    {SETTING(0, every_wide, 1, TG_WIDE), .drawn = 1}, {SETTING(2, a_switch, 1, TG_BOOL)},
    {SETTING(3, level, 1, TG_NUMBER)},                {SETTING(4, some_wide, 1, TG_WIDE)},
    {SETTING(6, three, 3, TG_NUMBERS)},               {SETTING(9, many, 12, TG_NUMBERS)},
};

const tg_model tg_the_model = {
    .sha256 = {0xFA, 0xCE, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
               15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30},
    .inputs = inputs,
    .outputs = outputs,
    .layers = layers,
    .settings = settings,
#ifdef FAKE_VARIABLE
    .output_used = output_used,
#endif
#ifdef TG_STAGES
    .stage_ends = stage_ends,
    .taken = &taken,
    .stage_count = 2,
#endif
    .arena_bytes = 4321,
    .input_count = 2,
    .output_count = 2,
    .layer_count = 3,
    .setting_count = 6,
};
