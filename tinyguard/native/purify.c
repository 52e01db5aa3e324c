/* SPDX-License-Identifier: Apache-2.0 */
#include "purify.h"

/* The most lanes that this processor's vectors have. */
int32_t tg_purify_lanes(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl")) {
        return 8;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        return 4;
    }
#endif
    return 2;
}
