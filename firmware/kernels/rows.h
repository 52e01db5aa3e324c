/* SPDX-License-Identifier: Apache-2.0 */
/* Two operands broadcast to one output, as nested loops over rows. */
#ifndef TG_ROWS_H
#define TG_ROWS_H

#include "fixed_point.h"

/* Outermost level first; level 5 is the row. `a` and `b` are steps in elements, 0 where broadcast;
   in the row they are 0 or 1 and never both 0. */
typedef struct {
    int32_t size[6];
    int32_t a[6], b[6];
} tg_rows;

/* First element of a row of an operand with these steps. */
TG_INLINE int32_t tg_row_start(const int32_t step[6], const int32_t i[5])
{
    return i[0] * step[0] + i[1] * step[1] + i[2] * step[2] + i[3] * step[3] + i[4] * step[4];
}

/* Runs the statement that follows once per row, output in order; i[0..4] count the outer levels.
   With a constant `rows`, the levels of size 1 vanish. */
#define TG_EACH_ROW(rows, i)                                                                           \
    for (int32_t i[5] = {0}; i[0] < (rows)->size[0]; i[0]++)                                           \
        for (i[1] = 0; i[1] < (rows)->size[1]; i[1]++)                                                 \
            for (i[2] = 0; i[2] < (rows)->size[2]; i[2]++)                                             \
                for (i[3] = 0; i[3] < (rows)->size[3]; i[3]++)                                         \
                    for (i[4] = 0; i[4] < (rows)->size[4]; i[4]++)

/* output = combine(s, left(s, first), right(s, second)) for every element, all three int32_t functions. What
   is broadcast along a row is computed once per row: the output may lie on an operand that is not. */
#define TG_BROADCAST(type, s, rows, first, second, output, left, right, combine)                       \
    TG_EACH_ROW(rows, level) {                                                                         \
        const type *x = (first) + tg_row_start((rows)->a, level);                                      \
        const type *y = (second) + tg_row_start((rows)->b, level);                                     \
        if ((rows)->a[5] == 0) {                                                                       \
            const int32_t fixed = left(s, *x);                                                         \
            for (int32_t k = 0; k < (rows)->size[5]; k++) {                                            \
                (output)[k] = (type)combine(s, fixed, right(s, y[k]));                                 \
            }                                                                                          \
        } else if ((rows)->b[5] == 0) {                                                                \
            const int32_t fixed = right(s, *y);                                                        \
            for (int32_t k = 0; k < (rows)->size[5]; k++) {                                            \
                (output)[k] = (type)combine(s, left(s, x[k]), fixed);                                  \
            }                                                                                          \
        } else {                                                                                       \
            for (int32_t k = 0; k < (rows)->size[5]; k++) {                                            \
                (output)[k] = (type)combine(s, left(s, x[k]), right(s, y[k]));                         \
            }                                                                                          \
        }                                                                                              \
        (output) += (rows)->size[5];                                                                   \
    }

#endif
