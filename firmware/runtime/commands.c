/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <string.h>

#include "inference.h"
#include "link.h"
#include "settings.h"
#include "stack.h"
#include "tinyguard/model.h"
#include "tinyguard/port.h"

_Static_assert(sizeof(tg_write_request) <= TG_FIXED_BYTES, "fixed part");
_Static_assert(sizeof(tg_read_layer_request) <= TG_FIXED_BYTES, "fixed part");
_Static_assert(sizeof(tg_invoke_reply) <= TG_FIXED_BYTES, "fixed part");
_Static_assert(sizeof(tg_describe_reply) <= TG_CHUNK_MIN + TG_FIXED_BYTES, "fits every frame");
_Static_assert(sizeof(tg_status_reply) <= TG_CHUNK_MIN + TG_FIXED_BYTES, "fits every frame");
_Static_assert(sizeof(TG_BOARD_NAME) <= sizeof(((tg_board_info *)0)->board), "board name too long");
_Static_assert(sizeof(TG_CORE_NAME) <= sizeof(((tg_board_info *)0)->core), "core name too long");
_Static_assert(sizeof(TG_BUILD_ID) <= sizeof(((tg_board_info *)0)->build) + 1, "build id too long");

static tg_result out_of_order(uint32_t asked)
{
    return (tg_result){.code = TG_ERROR_ORDER, .layer = tg_link.layers_done, .detail = asked};
}

static bool take(const tg_exchange *exchange, void *request, uint32_t size)
{
    if (exchange->count != size) {
        return false;
    }
    memcpy(request, exchange->payload, size);
    return true;
}

static void give(tg_exchange *exchange, const void *reply, uint32_t size)
{
    memcpy(exchange->reply, reply, size);
    exchange->reply_count = size;
}

/* The bytes [offset, offset + count) of `size` bytes at `data`, appended to the reply. */
static tg_result give_slice(tg_exchange *exchange, const uint8_t *data, uint32_t size, uint32_t offset,
                            uint32_t count)
{
    if (count > TG_CHUNK_BYTES || offset > size || count > size - offset) {
        return tg_failed(TG_ERROR_RANGE, offset + count);
    }
    memcpy(exchange->reply + exchange->reply_count, data + offset, count);
    exchange->reply_count += count;
    return tg_done();
}

static void give_outputs(tg_exchange *exchange, uint32_t max)
{
    exchange->reply_count += tg_inference_copy_outputs(exchange->reply + exchange->reply_count, max);
}

static tg_result hello(tg_exchange *exchange)
{
    const tg_hello_reply reply = {
        .version = TG_PROTOCOL_VERSION,
        .chunk_bytes = TG_CHUNK_BYTES,
        .input_count = tg_the_model.input_count,
        .output_count = tg_the_model.output_count,
        .layer_count = tg_the_model.layer_count,
    };

    /* The length of the request is the business of the host's version. */
    give(exchange, &reply, sizeof(reply));
    return tg_done();
}

static tg_result info(tg_exchange *exchange)
{
    const tg_counter_calibration calibration = tg_port_calibration();
    tg_board_info all = {
        .board = TG_BOARD_NAME,
        .core = TG_CORE_NAME,
        .build = TG_BUILD_ID,
        .clock_hz = tg_port_clock_hz(),
        .counter_kind = calibration.kind,
        .calibration_instructions = calibration.instructions,
        .calibration_ticks = calibration.ticks,
        .arena_bytes = tg_the_model.arena_bytes,
        .link_bytes = TG_LINK_BYTES,
        .stack_bytes = tg_stack_bytes(),
        .baud = tg_link.baud,
    };
    tg_info_request request;

    if (!take(exchange, &request, sizeof(request))) {
        return tg_failed(TG_ERROR_LENGTH, exchange->count);
    }
    memcpy(all.model_sha256, tg_the_model.sha256, sizeof(all.model_sha256));
    return give_slice(exchange, (const uint8_t *)&all, sizeof(all), request.offset, request.count);
}

static tg_result describe(tg_exchange *exchange)
{
    const tg_tensor *tensors;
    uint16_t count;
    tg_describe_request request;

    if (!take(exchange, &request, sizeof(request))) {
        return tg_failed(TG_ERROR_LENGTH, exchange->count);
    }
    if (request.kind == TG_DESCRIBE_LAYER) {
        if (request.layer >= tg_the_model.layer_count) {
            return tg_failed(TG_ERROR_INDEX, request.layer);
        }
        tensors = tg_the_model.layers[request.layer].outputs;
        count = tg_the_model.layers[request.layer].output_count;
    } else if (request.kind == TG_DESCRIBE_INPUT) {
        tensors = tg_the_model.inputs;
        count = tg_the_model.input_count;
    } else {
        tensors = tg_the_model.outputs;
        count = request.kind == TG_DESCRIBE_OUTPUT ? tg_the_model.output_count : 0;
    }
    if (request.index >= count) {
        return tg_failed(TG_ERROR_INDEX, request.index);
    }

    const tg_tensor *tensor = &tensors[request.index];
    tg_describe_reply reply = {
        .size_bytes = tensor->size_bytes,
        .scale = tensor->scale,
        .zero_point = tensor->zero_point,
        .dtype = tensor->dtype,
        .rank = tensor->rank,
        .variable = request.kind == TG_DESCRIBE_OUTPUT && tg_inference_counts_used(request.index),
    };
    _Static_assert(sizeof(reply.shape) == sizeof(tensor->shape), "ranks agree");
    memcpy(reply.shape, tensor->shape, sizeof(reply.shape));
    give(exchange, &reply, sizeof(reply));
    return tg_done();
}

static tg_result layer_info(tg_exchange *exchange)
{
    tg_layer_info_request request;

    if (!take(exchange, &request, sizeof(request))) {
        return tg_failed(TG_ERROR_LENGTH, exchange->count);
    }
    if (request.layer >= tg_the_model.layer_count) {
        return tg_failed(TG_ERROR_INDEX, request.layer);
    }

    const tg_layer_info_reply reply = {.output_count = tg_the_model.layers[request.layer].output_count};
    give(exchange, &reply, sizeof(reply));
    return tg_done();
}

static tg_result write_input(tg_exchange *exchange)
{
    tg_write_request request;

    if (exchange->count < sizeof(request)) {
        return tg_failed(TG_ERROR_LENGTH, exchange->count);
    }
    memcpy(&request, exchange->payload, sizeof(request));
    if (request.index >= tg_the_model.input_count) {
        return tg_failed(TG_ERROR_INDEX, request.index);
    }

    const uint32_t size = tg_the_model.inputs[request.index].size_bytes;
    const uint32_t count = exchange->count - (uint32_t)sizeof(request);
    if (request.offset > size || count > size - request.offset) {
        return tg_failed(TG_ERROR_RANGE, request.offset + count);
    }
    if (!tg_inference_write(request.index, request.offset, exchange->payload + sizeof(request), count)) {
        return out_of_order(request.index);
    }
    return tg_done();
}

static tg_result invoke(tg_exchange *exchange)
{
    tg_invoke_request request;

    if (!take(exchange, &request, sizeof(request))) {
        return tg_failed(TG_ERROR_LENGTH, exchange->count);
    }
    if (request.last_layer >= tg_the_model.layer_count || request.first_layer > request.last_layer) {
        return tg_failed(TG_ERROR_INDEX, request.last_layer);
    }
    if (request.output_bytes > TG_CHUNK_BYTES) {
        return tg_failed(TG_ERROR_RANGE, request.output_bytes);
    }
    if (request.first_layer != tg_link.layers_done) {
        return out_of_order(request.first_layer);
    }
    if (request.first_layer == 0) {
        if (!tg_inference_inputs_complete()) {
            return tg_failed(TG_ERROR_INPUT, tg_link.input_index);
        }
        const uint32_t crc = tg_inference_input_crc();
        if (crc != request.input_crc) {
            return tg_failed(TG_ERROR_CRC, crc);
        }
    }

    const tg_invoke_reply reply = tg_inference_run(request.first_layer, (uint16_t)(request.last_layer + 1));
    give(exchange, &reply, sizeof(reply));
    if (tg_link.layers_done == tg_the_model.layer_count) {
        give_outputs(exchange, request.output_bytes);
    }
    return tg_done();
}

static tg_result run(tg_exchange *exchange)
{
    const uint64_t output_bytes = tg_inference_output_bytes();

    if (exchange->count != tg_inference_input_bytes()) {
        return tg_failed(TG_ERROR_LENGTH, exchange->count);
    }
    if (output_bytes > TG_CHUNK_BYTES) {
        return tg_failed(TG_ERROR_RANGE, TG_CHUNK_BYTES);
    }
    tg_inference_write_all(exchange->payload);

    const tg_invoke_reply reply = tg_inference_run(0, tg_the_model.layer_count);
    give(exchange, &reply, sizeof(reply));
    give_outputs(exchange, (uint32_t)output_bytes);
    return tg_done();
}

static tg_result read_output(tg_exchange *exchange)
{
    tg_read_output_request request;

    if (!take(exchange, &request, sizeof(request))) {
        return tg_failed(TG_ERROR_LENGTH, exchange->count);
    }
    if (request.index >= tg_the_model.output_count) {
        return tg_failed(TG_ERROR_INDEX, request.index);
    }
    if (tg_link.layers_done == 0 || tg_link.layers_done != tg_the_model.layer_count) {
        return out_of_order(tg_the_model.layer_count);
    }

    const uint32_t used = tg_inference_used(request.index);
    if (tg_inference_counts_used(request.index)) {
        give(exchange, &used, sizeof(used));
        if (request.offset <= used && request.count > used - request.offset) {
            request.count = (uint16_t)(used - request.offset);
        }
    }
    return give_slice(exchange, tg_the_model.outputs[request.index].data, used, request.offset, request.count);
}

static tg_result read_layer(tg_exchange *exchange)
{
    tg_read_layer_request request;

    if (!take(exchange, &request, sizeof(request))) {
        return tg_failed(TG_ERROR_LENGTH, exchange->count);
    }
    if (request.layer >= tg_the_model.layer_count) {
        return tg_failed(TG_ERROR_INDEX, request.layer);
    }
    if (tg_link.layers_done != request.layer + 1) {
        return out_of_order(request.layer);
    }

    const tg_layer *layer = &tg_the_model.layers[request.layer];
    if (request.output >= layer->output_count) {
        return tg_failed(TG_ERROR_INDEX, request.output);
    }
    const tg_tensor *output = &layer->outputs[request.output];
    return give_slice(exchange, output->data, output->size_bytes, request.offset, request.count);
}

static tg_result status(tg_exchange *exchange)
{
    tg_status_request request;

    if (!take(exchange, &request, sizeof(request))) {
        return tg_failed(TG_ERROR_LENGTH, exchange->count);
    }

    const tg_status_reply reply = {
        .stack_high_water = tg_stack_high_water(),
        .stack_at_invoke = tg_link.stack_at_invoke,
        .overruns = tg_port_overruns(),
        .frames = tg_link.frames,
        .frame_errors = tg_link.frame_errors,
    };
    give(exchange, &reply, sizeof(reply));
    if (request.repaint) {
        tg_stack_paint();
    }
    return tg_done();
}

tg_result tg_command(uint8_t command, tg_exchange *exchange)
{
    switch (command) {
    case TG_HELLO:
        return hello(exchange);
    case TG_INFO:
        return info(exchange);
    case TG_DESCRIBE:
        return describe(exchange);
    case TG_LAYER_INFO:
        return layer_info(exchange);
    case TG_WRITE_INPUT:
        return write_input(exchange);
    case TG_INVOKE:
        return invoke(exchange);
    case TG_READ_OUTPUT:
        return read_output(exchange);
    case TG_READ_LAYER:
        return read_layer(exchange);
    case TG_RUN:
        return run(exchange);
    case TG_STATUS:
        return status(exchange);
    case TG_SETTINGS:
        return tg_settings_command(exchange);
    default:
        return tg_failed(TG_ERROR_COMMAND, command);
    }
}
