/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a network answers at one of its exits: see tinyguard/operators/exit_gate.py. */
#ifndef TG_EXIT_GATE_H
#define TG_EXIT_GATE_H

#include "fixed_point.h"

/* As KINDS of tinyguard/graph/exit_policy.py. */
enum { TG_EXIT_NEVER, TG_EXIT_CONFIDENCE, TG_EXIT_MARGIN, TG_EXIT_ENTROPY, TG_EXIT_PATIENCE };

/* A gate. `settings` is the kind of the policy, and after it the thresholds of each kind but `never`: one for
   each exit but the last, of patience one in all.
   What comes from the gate before is 0 at the first exit, and otherwise mostly lies in the memory of its
   successor.
   decision: exit taken, from 1, largest probability in 1/256, entropy in 1/1024 bit, margin of the logits in
   codes. state: class of this exit, how many exits in a row named it, of the mean the sums of codes. */
typedef struct {
    uint16_t classes;
    uint8_t exit; /* from 1 */
    uint8_t exits;
    const int32_t *settings;
    const int16_t *entropies; /* of probabilities 0/256 to 256/256 */
    const int8_t *scores;     /* of this exit */
    const int8_t *logits;
    const int8_t *answer_before;
    const int32_t *decision_before;
    const int32_t *state_before;
    int8_t *answer;
    int32_t *decision;
    int8_t *shown; /* what this exit shows */
    int32_t *state;
} tg_exit_gate;

/* What an exit shows that is not this one: what it did, or before any was reached probability 0. */
TG_INLINE void tg_exit_show(int32_t classes, const int8_t *before, int8_t *shown)
{
    for (int32_t i = 0; i < classes; i++) {
        shown[i] = (int8_t)(before != 0 ? before[i] : -128);
    }
}

/* measures: probability, margin, entropy, as the kinds have them. */
TG_INLINE int tg_exit_leaves(const tg_exit_gate *gate, const int32_t *measures, int32_t run)
{
    const int32_t kind = gate->settings[0];

    if (kind == TG_EXIT_NEVER) {
        return 0;
    }
    const int32_t *thresholds = gate->settings + 1 + (kind - 1) * (gate->exits - 1);
    if (kind == TG_EXIT_PATIENCE) {
        return run >= thresholds[0];
    }
    const int32_t threshold = thresholds[gate->exit - 1];
    return kind == TG_EXIT_ENTROPY ? measures[kind - 1] <= threshold : measures[kind - 1] >= threshold;
}

/* mean: the answer is the mean of the exits so far, rounded down after half, and not this exit's own scores. */
TG_INLINE void tg_exit_decide(const tg_exit_gate *gate, int mean)
{
    const int8_t *scores = gate->scores;
    int32_t measures[3] = {0, 0, 0};
    int32_t label = 0;
    int32_t first = INT8_MIN - 1;
    int32_t second = INT8_MIN - 1;

    for (int32_t i = 0; i < gate->classes; i++) {
        const int32_t level = scores[i] + 128;
        const int32_t logit = gate->logits[i];
        if (level > measures[0]) {
            measures[0] = level;
            label = i;
        }
        measures[2] += gate->entropies[level];
        if (logit > first) {
            second = first;
            first = logit;
        } else if (logit > second) {
            second = logit;
        }
    }
    measures[1] = first - second;

    const int32_t *before = gate->state_before;
    const int32_t run = (before != 0 && before[0] == label ? before[1] : 0) + 1;
    gate->state[0] = label;
    gate->state[1] = run;

    const int decided = gate->decision_before != 0 && gate->decision_before[0] != 0;
    const int last = gate->exit == gate->exits;
    const int taken = !decided && (last || tg_exit_leaves(gate, measures, run));
    for (int32_t i = 0; i < gate->classes; i++) {
        int32_t said = scores[i];
        if (mean) {
            const int32_t sum = said + (before != 0 ? before[2 + i] : 0);
            gate->state[2 + i] = sum;
            /* what is divided is not negative */
            said = (sum + 128 * gate->exit + gate->exit / 2) / gate->exit - 128;
        }
        gate->shown[i] = (int8_t)(decided ? -128 : scores[i]);
        gate->answer[i] = (int8_t)(taken ? said : gate->answer_before != 0 ? gate->answer_before[i] : -128);
    }
    if (taken) {
        gate->decision[0] = gate->exit;
        gate->decision[1] = measures[0];
        gate->decision[2] = measures[2];
        gate->decision[3] = measures[1];
    } else {
        for (int32_t i = 0; i < 4; i++) {
            gate->decision[i] = gate->decision_before != 0 ? gate->decision_before[i] : 0;
        }
    }
}

/* One function for all gates: it takes a few hundred instructions, and flash matters more: cold code is compiled
   for size. */
static __attribute__((noinline, cold, unused)) void tg_exit_gate_taken(const tg_exit_gate *gate)
{
    tg_exit_decide(gate, 0);
}

static __attribute__((noinline, cold, unused)) void tg_exit_gate_mean(const tg_exit_gate *gate)
{
    tg_exit_decide(gate, 1);
}

#endif
