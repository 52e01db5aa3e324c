/* SPDX-License-Identifier: Apache-2.0 */
/* The shape that RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR share. */
#ifndef TG_RESIZE_H
#define TG_RESIZE_H

#include <string.h>

#include "fixed_point.h"

typedef struct {
    int32_t batches;
    int32_t input_height, input_width, channels;
    int32_t output_height, output_width;
} tg_resize_shape;

#endif
