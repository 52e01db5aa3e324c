/* SPDX-License-Identifier: Apache-2.0 */
/* How much of the stack has been used, told from a painted pattern. */
#ifndef TG_RUNTIME_STACK_H
#define TG_RUNTIME_STACK_H

#include <stdint.h>

/* Paint the part of the stack that is free now. */
void tg_stack_paint(void);

/* Bytes between the top of the stack and the lowest word that was written since it was painted. */
uint32_t tg_stack_high_water(void);

/* Bytes in use now. */
uint32_t tg_stack_depth(void);

uint32_t tg_stack_bytes(void);

#endif
