/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a network answers at one of its exits: see tinyguard/operators/exit_gate.py. */
#ifndef TG_EXIT_GATE_H
#define TG_EXIT_GATE_H

#include "fixed_point.h"

/* As KINDS of tinyguard/graph/exit_policy.py; the settings follow each other in this order. */
enum { TG_EXIT_NEVER, TG_EXIT_CONFIDENCE, TG_EXIT_MARGIN, TG_EXIT_ENTROPY, TG_EXIT_PATIENCE };

typedef struct {
    int32_t classes;
    int32_t exit; /* from 1 */
    int32_t last;
} tg_exit_gate_shape;

/* What an exit shows that is not this one: what it did, or before any was reached probability 0. */
TG_INLINE void tg_exit_show(int32_t classes, const int8_t *before, int8_t *shown)
{
    for (int32_t i = 0; i < classes; i++) {
        shown[i] = (int8_t)(before != 0 ? before[i] : -128);
    }
}

/* settings: the kind, then the thresholds of each kind but the first; measures: probability, entropy, margin. */
static inline int tg_exit_leaves(const int32_t *const *settings, int32_t exit, const int32_t *measures,
                                 int32_t run)
{
    const int32_t kind = settings[0][0];
    const int32_t threshold = settings[kind][kind == TG_EXIT_PATIENCE || kind == TG_EXIT_NEVER ? 0 : exit - 1];

    switch (kind) {
    case TG_EXIT_CONFIDENCE:
        return measures[0] >= threshold;
    case TG_EXIT_ENTROPY:
        return measures[1] <= threshold;
    case TG_EXIT_MARGIN:
        return measures[2] >= threshold;
    case TG_EXIT_PATIENCE:
        return run >= threshold;
    default:
        return 0;
    }
}

/* The mean of the exits so far, rounded down: sums of codes before and after, 0 before the first exit. */
TG_INLINE void tg_exit_mean(const tg_exit_gate_shape *s, const int8_t *scores, const int32_t *before,
                            int32_t *after, int8_t *mean)
{
    for (int32_t i = 0; i < s->classes; i++) {
        after[i] = scores[i] + (before != 0 ? before[i] : 0);
        /* what is divided is not negative */
        mean[i] = (int8_t)((after[i] + 128 * s->exit + s->exit / 2) / s->exit - 128);
    }
}

/* scores, logits: of this exit; said: what is answered when it is taken; entropies: of probabilities 0/256 to
   256/256; *_before: 0 at the first exit, otherwise mostly the same memory as their successors.
   decision: exit taken, largest probability in 1/256, entropy in 1/1024 bit, margin of the logits in codes.
   state: class of this exit, how many exits in a row named it.
   One function for all gates: it takes a few hundred instructions, and flash matters more: cold code is
   compiled for size. */
static __attribute__((noinline, cold)) void
tg_exit_gate(const tg_exit_gate_shape *s, const int32_t *const *settings, const int8_t *scores,
             const int8_t *logits, const int8_t *said, const int16_t *entropies, const int8_t *answer_before,
             const int32_t *decision_before, const int32_t *state_before, int8_t *answer, int32_t *decision,
             int8_t *shown, int32_t *state)
{
    const int taken_before = decision_before != 0 && decision_before[0] != 0;
    int32_t measures[3] = {0, 0, 0};
    int32_t label = 0;
    int32_t first = INT8_MIN - 1;
    int32_t second = INT8_MIN - 1;

    for (int32_t i = 0; i < s->classes; i++) {
        const int32_t level = scores[i] + 128;
        const int32_t logit = logits[i];
        if (level > measures[0]) {
            measures[0] = level;
            label = i;
        }
        measures[1] += entropies[level];
        if (logit > first) {
            second = first;
            first = logit;
        } else if (logit > second) {
            second = logit;
        }
    }
    measures[2] = first - second;

    const int again = state_before != 0 && state_before[0] == label;
    const int32_t run = (again ? state_before[1] : 0) + 1;
    state[0] = label;
    state[1] = run;

    const int taken = !taken_before && (s->last || tg_exit_leaves(settings, s->exit, measures, run));
    for (int32_t i = 0; i < s->classes; i++) {
        answer[i] = (int8_t)(taken ? said[i] : answer_before != 0 ? answer_before[i] : -128);
        shown[i] = (int8_t)(taken_before ? -128 : scores[i]);
    }
    for (int32_t i = 0; i < 4; i++) {
        const int32_t here = i == 0 ? s->exit : measures[i - 1];
        decision[i] = taken ? here : (decision_before != 0 ? decision_before[i] : 0);
    }
}

#endif
