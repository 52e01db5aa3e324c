/* SPDX-License-Identifier: Apache-2.0 */
/* SQUEEZE_DISTANCE: how far apart two outputs are, and whether that is too far. */
#ifndef TG_SQUEEZE_DISTANCE_H
#define TG_SQUEEZE_DISTANCE_H

#include "fixed_point.h"

/* The L1 distance of two softmax outputs in 1/256, or `least` where that is larger. */
TG_INLINE int32_t tg_squeeze_distance(int32_t classes, const int8_t *raw, const int8_t *squeezed, int32_t least)
{
    int32_t distance = 0;
    for (int32_t i = 0; i < classes; i++) {
        const int32_t gap = raw[i] - squeezed[i];
        distance += gap < 0 ? -gap : gap;
    }
    return distance > least ? distance : least;
}

/* detection: the distance, and whether it is above the threshold; -1: never. */
TG_INLINE void tg_squeeze_decide(int32_t distance, int32_t threshold, int32_t detection[2])
{
    detection[0] = distance;
    detection[1] = threshold >= 0 && distance > threshold;
}

#endif
