/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol.h"
#include "stack.h"
#include "tinyguard/port.h"

int main(void)
{
    tg_port_init();
    tg_stack_paint();
    tg_protocol_init();
    for (;;) {
        tg_protocol_step();
    }
}
