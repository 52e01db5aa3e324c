/* SPDX-License-Identifier: Apache-2.0 */
/* A program that runs models on samples read from a file: the tests' way into generated C, on the
   host and, through semihosting, on an emulated core. */
#ifndef TINYGUARD_BATCH_H
#define TINYGUARD_BATCH_H

#include "tinyguard/model.h"

/* Defined by the generated batch.c. */
extern const tg_model *const tg_batch_models[];
extern const uint32_t tg_batch_count;

#endif
