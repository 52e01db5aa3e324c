/* SPDX-License-Identifier: Apache-2.0 */
#if defined(__x86_64__)

#define LANES 4
#define PURIFY tg_purify_4
#define TARGET __attribute__((target("arch=x86-64-v3")))
#include "purify_lanes.h"

#endif
