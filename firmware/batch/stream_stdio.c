/* SPDX-License-Identifier: Apache-2.0 */
#include "stream.h"

#include <stdio.h>

static FILE *source;
static FILE *sink;

bool tg_stream_open(void)
{
    source = fopen("input.bin", "rb");
    sink = fopen("output.bin", "wb");
    return source && sink;
}

bool tg_stream_read(void *bytes, uint32_t count)
{
    return fread(bytes, 1, count, source) == count;
}

void tg_stream_write(const void *bytes, uint32_t count)
{
    fwrite(bytes, 1, count, sink);
}

int tg_stream_finish(int status)
{
    if (status != 1 && (ferror(source) || fclose(source) || ferror(sink) || fclose(sink))) {
        return 4;
    }
    return status;
}
