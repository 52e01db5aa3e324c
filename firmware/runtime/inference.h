/* SPDX-License-Identifier: Apache-2.0 */
/* The network on the board: filling its inputs, running its layers, finding its outputs. */
#ifndef TG_RUNTIME_INFERENCE_H
#define TG_RUNTIME_INFERENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyguard/model.h"
#include "tinyguard/protocol.h"

/* Measure what measuring costs; forget all inputs. */
void tg_inference_init(void);

void tg_inference_forget(void);

/* Copy bytes into an input. False when it is out of order: inputs fill from the first byte of the first. The
   caller has checked that input and bytes exist. */
bool tg_inference_write(uint16_t index, uint32_t offset, const uint8_t *bytes, uint32_t count);

/* All inputs from bytes that hold them one after the other. */
void tg_inference_write_all(const uint8_t *bytes);

bool tg_inference_inputs_complete(void);

/* Of the inputs as they lie in memory. */
uint32_t tg_inference_input_crc(void);

uint64_t tg_inference_input_bytes(void);

/* At most, with the counts of outputs of variable length. */
uint64_t tg_inference_output_bytes(void);

/* Whether the output is of variable length. */
bool tg_inference_counts_used(uint16_t output);

/* Bytes of an output that mean something: never more than it has, whatever the network counted. */
uint32_t tg_inference_used(uint16_t output);

/* Run the layers first <= layer < end and measure them; of all layers those up to the exit that is taken. The
   caller has checked the order. */
tg_invoke_reply tg_inference_run(uint16_t first, uint16_t end);

/* The first `max` bytes of the outputs, one after the other; returns how many there were. Before one of variable
   length stands how many of its bytes are used, a uint32_t, and only those follow. */
uint32_t tg_inference_copy_outputs(uint8_t *bytes, uint32_t max);

#endif
