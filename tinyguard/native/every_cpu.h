/* SPDX-License-Identifier: Apache-2.0 */
/* EVERY_CPU: a function compiled for several generations of processors, of which the loader picks one. */
#ifndef TG_EVERY_CPU_H
#define TG_EVERY_CPU_H

#if defined(__x86_64__) && defined(__ELF__)
#define EVERY_CPU __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define EVERY_CPU
#endif

#define INLINE static inline __attribute__((always_inline))

#endif
