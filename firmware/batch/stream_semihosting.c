/* SPDX-License-Identifier: Apache-2.0 */
/* Arm semihosting calls; see "Semihosting for AArch32 and AArch64", sections SYS_OPEN to SYS_EXIT. */
#include "stream.h"

enum { SYS_OPEN = 0x01, SYS_CLOSE = 0x02, SYS_WRITE = 0x05, SYS_READ = 0x06, SYS_EXIT_EXTENDED = 0x20 };
enum { ADP_STOPPED_APPLICATION_EXIT = 0x20026 };
enum { MODE_READ_BINARY = 1, MODE_WRITE_BINARY = 5 };

typedef struct {
    int32_t source;
    int32_t sink;
} tg_handles;

static tg_handles handles __attribute__((section(".tg_link")));

static int32_t call(uint32_t operation, const void *block)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = block;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return (int32_t)r0;
}

static int32_t open(const char *name, uint32_t length, uint32_t mode)
{
    const uint32_t block[3] = {(uint32_t)(uintptr_t)name, mode, length};
    return call(SYS_OPEN, block);
}

bool tg_stream_open(void)
{
    handles.source = open("input.bin", 9, MODE_READ_BINARY);
    handles.sink = open("output.bin", 10, MODE_WRITE_BINARY);
    return handles.source >= 0 && handles.sink >= 0;
}

bool tg_stream_read(void *bytes, uint32_t count)
{
    const uint32_t block[3] = {(uint32_t)handles.source, (uint32_t)(uintptr_t)bytes, count};
    return call(SYS_READ, block) == 0;
}

void tg_stream_write(const void *bytes, uint32_t count)
{
    const uint32_t block[3] = {(uint32_t)handles.sink, (uint32_t)(uintptr_t)bytes, count};
    call(SYS_WRITE, block);
}

int tg_stream_finish(int status)
{
    const uint32_t sink[1] = {(uint32_t)handles.sink};
    const uint32_t end[2] = {ADP_STOPPED_APPLICATION_EXIT, (uint32_t)status};
    call(SYS_CLOSE, sink);
    call(SYS_EXIT_EXTENDED, end);
    return status;
}
