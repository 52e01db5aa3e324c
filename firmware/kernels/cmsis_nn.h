/* SPDX-License-Identifier: Apache-2.0 */
/* Arm's kernels, from the user's own copy of CMSIS-NN. */
#ifndef TG_CMSIS_NN_H
#define TG_CMSIS_NN_H

#include "arm_nnfunctions.h"

#endif
