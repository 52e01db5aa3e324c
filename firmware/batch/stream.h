/* SPDX-License-Identifier: Apache-2.0 */
/* Where the batch program reads and writes: stdio on a host, semihosting on an emulated core. */
#ifndef TG_STREAM_H
#define TG_STREAM_H

#include <stdbool.h>
#include <stdint.h>

bool tg_stream_open(void);
bool tg_stream_read(void *bytes, uint32_t count); /* false at the end of the file */
void tg_stream_write(const void *bytes, uint32_t count);
int tg_stream_finish(int status); /* closes both, ends an emulator, returns the exit status */

#endif
