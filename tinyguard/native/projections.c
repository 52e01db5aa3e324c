/* SPDX-License-Identifier: Apache-2.0 */
/* Projections onto a plane and steps on the grid, one sample at a time, so that it stays in the cache. The
 * torch code beside the caller does the same; sums may differ from it in the last place of a double.
 */

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "every_cpu.h"

/* The input space: arrays of one sample's elements. `step` and `offset` of the grid may be null. */
struct space {
    const float *low, *high, *step, *offset;
    size_t elements;
};

enum { LANES = 16 };

/* LANES sums side by side, so that they can be vectors. */
#define SUM(TO, VALUE)                                             \
    do {                                                           \
        double parts_[LANES] = {0};                                \
        size_t i = 0;                                              \
        for (; i + LANES <= elements; i += LANES) {                \
            for (size_t lane_ = 0; lane_ < LANES; lane_++) {       \
                const size_t e = i + lane_;                        \
                parts_[lane_] += (VALUE);                          \
            }                                                      \
        }                                                          \
        for (size_t e = i; e < elements; e++) {                    \
            parts_[e - i] += (VALUE);                              \
        }                                                          \
        (TO) = 0;                                                  \
        for (size_t lane_ = 0; lane_ < LANES; lane_++) {           \
            (TO) += parts_[lane_];                                 \
        }                                                          \
    } while (0)

INLINE float between(float x, float low, float high) {
    x = x < low ? low : x;
    return x > high ? high : x;
}

/* Points of the box (samples, elements) nearest to `x` where normal . point = level; `euclidean` in L2, else in
 * Linf. `scratch`: 2 * elements. */
EVERY_CPU void tg_project_onto_plane(const struct space *space, const float *x, const float *normal,
                                     const float *level, float *projected, double *scratch, size_t samples,
                                     int32_t euclidean) {
    const size_t elements = space->elements;
    const float *const low = space->low, *const high = space->high;
    double *restrict wall = scratch, *restrict rate = scratch + elements;
    for (size_t sample = 0; sample < samples;
         sample++, x += elements, normal += elements, projected += elements) {
        double missing;
        SUM(missing, (double)normal[e] * (double)x[e]);
        missing = (double)level[sample] - missing;
        const double sign = (missing > 0) - (missing < 0), need = fabs(missing);
        double furthest = 0;
        for (size_t e = 0; e < elements; e++) {
            const double size = fabs((double)normal[e]), speed = euclidean ? size : 1;
            double reach = (double)normal[e] * sign >= 0 ? (double)high[e] - x[e] : (double)x[e] - low[e];
            reach = reach > 0 ? reach : 0;
            wall[e] = size > 0 ? reach / (speed > 1e-300 ? speed : 1e-300) : 0;
            rate[e] = size * speed;
            furthest = wall[e] > furthest ? wall[e] : furthest;
        }
        double multiple = 0, running, before;
        SUM(running, (double)(wall[e] > 0));
        do {
            double arrived, slope;
            SUM(arrived, rate[e] * (wall[e] < multiple ? wall[e] : multiple));
            SUM(slope, rate[e] * (double)(wall[e] > multiple)); /* GCC 12 adds up `? rate[e] : 0` wrongly */
            const double step = (need - arrived) / (slope > 1e-300 ? slope : 1e-300);
            multiple += step > 0 ? step : 0;
            multiple = multiple < furthest ? multiple : furthest;
            before = running;
            SUM(running, (double)(wall[e] > multiple));
        } while (running != before);
        for (size_t e = 0; e < elements; e++) {
            const double size = fabs((double)normal[e]), speed = euclidean ? size : 1;
            const int ahead = (double)normal[e] * sign >= 0;
            double reach = ahead ? (double)high[e] - x[e] : (double)x[e] - low[e];
            reach = reach > 0 ? reach : 0;
            double way = multiple * speed;
            way = way < reach ? way : reach;
            way = size > 0 ? way : 0;
            projected[e] = between((float)(ahead ? x[e] + way : x[e] - way), low[e], high[e]);
        }
    }
}

INLINE int short_of(const struct space *space, const float *clean, const float *delta, const float *normal,
                    float level, float stretch) {
    const size_t elements = space->elements;
    const float *const low = space->low, *const high = space->high;
    const float *const step = space->step, *const offset = space->offset;
    double sum;
    SUM(sum, normal[e] * between(offset[e] + rintf((between(clean[e] + delta[e] * stretch, low[e], high[e]) -
                                                    offset[e]) / step[e]) * step[e], low[e], high[e]));
    return sum < (double)level;
}

/* clean + c (x - clean) with the smallest c from 1 whose point on the grid has normal . point >= level.
 * `scratch`: elements. */
EVERY_CPU void tg_reach_on_grid(const struct space *space, const float *x, const float *clean,
                                const float *normal, const float *level, float *reached, float *scratch,
                                size_t samples, int32_t doublings, int32_t bisections) {
    const size_t elements = space->elements;
    float *restrict delta = scratch;
    for (size_t sample = 0; sample < samples; sample++) {
        for (size_t e = 0; e < elements; e++) {
            delta[e] = x[e] - clean[e];
        }
        float low = 1, high = 1;
        int still = 1;
        for (int32_t i = 0; i < doublings && still; i++) {
            still = short_of(space, clean, delta, normal, level[sample], high);
            low = still ? high : low;
            high = still ? high * 2 : high;
        }
        for (int32_t i = 0; i < bisections && low < high; i++) {
            const float middle = (low + high) / 2;
            still = short_of(space, clean, delta, normal, level[sample], middle);
            low = still ? middle : low;
            high = still ? high : middle;
        }
        for (size_t e = 0; e < elements; e++) {
            reached[e] = clean[e] + delta[e] * high;
        }
        x += elements, clean += elements, normal += elements, reached += elements;
    }
}
