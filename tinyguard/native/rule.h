/* SPDX-License-Identifier: Apache-2.0 */
/* From sums to codes, one rule per channel. */
#ifndef TG_RULE_H
#define TG_RULE_H

#include <stddef.h>
#include <stdint.h>

/* One entry per channel. `tilt` may be null: then `addend` holds it. `least` and `most` bound the sums whose
 * unrounded code lies inside the clamp. */
struct rule {
    const double *factor, *addend, *tilt, *least, *most;
    double low, high;
};

/* Codes (rows, channels) of sums, whose rows lie `pitch` apart; `outside`, what the clamp holds, may be null. */
void tg_codes_i32(const struct rule *rule, const int32_t *sums, size_t pitch, float *codes, uint8_t *outside,
                  size_t rows, size_t channels);

#endif
