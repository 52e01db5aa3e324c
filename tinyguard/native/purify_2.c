/* SPDX-License-Identifier: Apache-2.0 */
#define LANES 2
#define PURIFY tg_purify_2
#define TARGET
#include "purify_lanes.h"
