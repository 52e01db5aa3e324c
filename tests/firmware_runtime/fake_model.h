#ifndef FAKE_MODEL_H
#define FAKE_MODEL_H

#include <stdint.h>

#ifndef FAKE_X
#define FAKE_X 60
#endif
#define FAKE_Y 4

extern uint32_t fake_work;

#endif
