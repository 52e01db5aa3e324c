/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAKE_MODEL_H
#define FAKE_MODEL_H

#include <stdint.h>

#ifndef FAKE_X
#define FAKE_X 60
#endif
#define FAKE_Y 4

extern uint32_t fake_work;

/* All settings one after the other; tests/device/host_board.py declares the same. */
#define FAKE_AREA_WORDS 21
#define FAKE_LEVEL 3 /* word of the setting "level" */
extern uint32_t fake_area[FAKE_AREA_WORDS];

#endif
