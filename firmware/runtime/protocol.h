/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions, sequence numbers and retries: one request, one reply, nothing carried out twice. */
#ifndef TG_RUNTIME_PROTOCOL_H
#define TG_RUNTIME_PROTOCOL_H

/* Forget everything. Called once, after tg_port_init and tg_stack_paint. */
void tg_protocol_init(void);

/* Do what there is to do with the bytes that have arrived, then sleep until there may be more. */
void tg_protocol_step(void);

#endif
