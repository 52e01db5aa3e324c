/* SPDX-License-Identifier: Apache-2.0 */
/* The mean of several passes and their entropies: see tinyguard/operators/monte_carlo.py. */
#ifndef TG_MONTE_CARLO_H
#define TG_MONTE_CARLO_H

#include "fixed_point.h"

typedef struct {
    int32_t classes;
    int32_t passes;
    int32_t abstain_above; /* 1/1024 bit; -1: never */
} tg_monte_carlo_shape;

/* scores: softmax codes of a pass; entropies: of probabilities 0/256 to 256/256; before: 0 in the first pass.
   before and after: one sum a class, then that of the entropies; they may be the same. */
TG_INLINE void tg_monte_carlo_sum(int32_t classes, const int8_t *scores, const int16_t *entropies,
                                  const int32_t *before, int32_t *after)
{
    int32_t entropy = before != 0 ? before[classes] : 0;
    for (int32_t i = 0; i < classes; i++) {
        const int32_t level = scores[i] + 128;
        after[i] = level + (before != 0 ? before[i] : 0);
        entropy += entropies[level];
    }
    after[classes] = entropy;
}

/* uncertainty: predictive entropy, expected entropy, mutual information in 1/1024 bit; whether to abstain. */
TG_INLINE void tg_monte_carlo_mean(const tg_monte_carlo_shape *s, const int32_t *sums,
                                   const int16_t *entropies, int8_t *mean, int32_t *uncertainty)
{
    const int32_t half = s->passes / 2;
    const int32_t expected = sums[s->classes];
    int32_t predictive = 0;
    for (int32_t i = 0; i < s->classes; i++) {
        const int32_t level = sums[i] / s->passes;
        const int32_t rest = sums[i] % s->passes;
        predictive += entropies[level] * (s->passes - rest);
        predictive += rest > 0 ? entropies[level + 1] * rest : 0;
        mean[i] = (int8_t)((sums[i] + half) / s->passes - 128);
    }
    uncertainty[0] = (predictive + half) / s->passes;
    uncertainty[1] = (expected + half) / s->passes;
    uncertainty[2] = (predictive - expected + half) / s->passes;
    uncertainty[3] = s->abstain_above >= 0 && uncertainty[0] > s->abstain_above;
}

#endif
