/* SPDX-License-Identifier: Apache-2.0 */
#include "inference.h"

#include <string.h>

#include "frame.h"
#include "link.h"
#include "settings.h"
#include "stack.h"
#include "tinyguard/port.h"
#ifdef TG_STAGES
#include "tinyguard/stages.h"
#endif

void tg_inference_forget(void)
{
    tg_link.input_index = 0;
    tg_link.input_offset = 0;
    tg_link.layers_done = 0;
}

void tg_inference_init(void)
{
    uint64_t least = UINT64_MAX;

    tg_inference_forget();
    tg_settings_start();
    for (int i = 0; i < 4; i++) {
        const uint64_t start = tg_port_counter_read();
        const uint64_t count = tg_port_counter_read() - start;
        least = count < least ? count : least;
    }
    tg_link.counter_overhead = least;
}

bool tg_inference_write(uint16_t index, uint32_t offset, const uint8_t *bytes, uint32_t count)
{
    const tg_tensor *input = &tg_the_model.inputs[index];

    if (index > tg_link.input_index || (index == tg_link.input_index && offset > tg_link.input_offset)) {
        return false;
    }
    memcpy(input->data + offset, bytes, count);
    tg_link.layers_done = 0;
    tg_link.input_index = index;
    tg_link.input_offset = offset + count;
    if (tg_link.input_offset == input->size_bytes) {
        tg_link.input_index++;
        tg_link.input_offset = 0;
    }
    return true;
}

void tg_inference_write_all(const uint8_t *bytes)
{
    for (uint16_t i = 0; i < tg_the_model.input_count; i++) {
        memcpy(tg_the_model.inputs[i].data, bytes, tg_the_model.inputs[i].size_bytes);
        bytes += tg_the_model.inputs[i].size_bytes;
    }
    tg_link.layers_done = 0;
    tg_link.input_index = tg_the_model.input_count;
    tg_link.input_offset = 0;
}

bool tg_inference_inputs_complete(void)
{
    return tg_link.input_index == tg_the_model.input_count && tg_link.layers_done == 0;
}

uint32_t tg_inference_input_crc(void)
{
    uint32_t crc = 0;

    for (uint16_t i = 0; i < tg_the_model.input_count; i++) {
        crc = tg_crc32(crc, tg_the_model.inputs[i].data, tg_the_model.inputs[i].size_bytes);
    }
    return crc;
}

static uint64_t total_bytes(const tg_tensor *tensors, uint16_t count)
{
    uint64_t bytes = 0;

    for (uint16_t i = 0; i < count; i++) {
        bytes += tensors[i].size_bytes;
    }
    return bytes;
}

uint64_t tg_inference_input_bytes(void)
{
    return total_bytes(tg_the_model.inputs, tg_the_model.input_count);
}

uint64_t tg_inference_output_bytes(void)
{
    uint64_t bytes = total_bytes(tg_the_model.outputs, tg_the_model.output_count);

    for (uint16_t i = 0; i < tg_the_model.output_count; i++) {
        bytes += tg_inference_counts_used(i) ? sizeof(uint32_t) : 0;
    }
    return bytes;
}

bool tg_inference_counts_used(uint16_t output)
{
    return tg_the_model.output_used != 0 && tg_the_model.output_used[output] != 0;
}

uint32_t tg_inference_used(uint16_t output)
{
    const uint32_t size = tg_the_model.outputs[output].size_bytes;
    const uint32_t used = tg_inference_counts_used(output) ? *tg_the_model.output_used[output] : size;

    return used < size ? used : size;
}

#ifdef TG_STAGES
/* Cold code is compiled for size. */
static __attribute__((noinline, cold)) void run_stages(void)
{
    for (uint32_t layer = 0; layer < tg_the_model.layer_count;) {
        layer = tg_run_stage(&tg_the_model, layer);
    }
}
#endif

tg_invoke_reply tg_inference_run(uint16_t first, uint16_t end)
{
    bool disturbed = tg_frame_pending();
    tg_invoke_reply reply;

    /* The inputs may be gone from here on. */
    tg_link.input_index = 0;
    tg_link.input_offset = 0;
    tg_link.stack_at_invoke = tg_stack_depth();
    if (first == 0) {
        tg_settings_draw();
    }

    const uint64_t start = tg_port_counter_read();
#ifdef TG_STAGES
    if (first == 0 && end == tg_the_model.layer_count) {
        run_stages();
        first = end;
    }
#endif
    for (uint16_t layer = first; layer < end; layer++) {
        tg_the_model.layers[layer].run();
    }
    const uint64_t count = tg_port_counter_read() - start;

    tg_link.layers_done = end;
    disturbed = tg_frame_pending() || disturbed;
    reply.count = count > tg_link.counter_overhead ? count - tg_link.counter_overhead : 0;
    reply.flags = disturbed ? TG_FLAG_DISTURBED : 0;
    return reply;
}

static uint32_t copy(uint8_t *to, const void *from, uint32_t count, uint32_t room)
{
    count = count < room ? count : room;
    memcpy(to, from, count);
    return count;
}

uint32_t tg_inference_copy_outputs(uint8_t *bytes, uint32_t max)
{
    uint32_t copied = 0;

    for (uint16_t i = 0; i < tg_the_model.output_count; i++) {
        const uint32_t used = tg_inference_used(i);

        if (tg_inference_counts_used(i)) {
            copied += copy(bytes + copied, &used, sizeof(used), max - copied);
        }
        copied += copy(bytes + copied, tg_the_model.outputs[i].data, used, max - copied);
    }
    return copied;
}
