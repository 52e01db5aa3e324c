/* SPDX-License-Identifier: Apache-2.0 */
/* A stack that nobody uses, where the linker script of a board would put the real one. */
#ifndef FAKE_STACK_H
#define FAKE_STACK_H

#include <stdint.h>

uint32_t tg_stack_bottom[256];
__asm__(".globl tg_stack_top\n.set tg_stack_top, tg_stack_bottom + 1024\n");

#endif
