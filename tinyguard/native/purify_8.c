/* SPDX-License-Identifier: Apache-2.0 */
#if defined(__x86_64__)

#define LANES 8
#define PURIFY tg_purify_8
#define TARGET __attribute__((target("arch=x86-64-v4")))
#include "purify_lanes.h"

#endif
