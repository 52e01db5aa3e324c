/* SPDX-License-Identifier: Apache-2.0 */
/* Which taps of a window fall inside the input. */
#ifndef TG_WINDOW_H
#define TG_WINDOW_H

#include "fixed_point.h"

/* The first kernel row (or column) inside, for a window that starts at `origin`. */
TG_INLINE int32_t tg_first_tap(int32_t origin, int32_t dilation)
{
    return origin < 0 ? (-origin + dilation - 1) / dilation : 0;
}

/* One past the last kernel row (or column) inside; origin < size. */
TG_INLINE int32_t tg_last_tap(int32_t origin, int32_t dilation, int32_t kernel, int32_t size)
{
    const int32_t room = (size - origin + dilation - 1) / dilation;
    return room < kernel ? room : kernel;
}

#endif
