/* SPDX-License-Identifier: Apache-2.0 */
/* The settings of the network: settings.c, or no_settings.c in images of networks that have none. */
#ifndef TG_RUNTIME_SETTINGS_H
#define TG_RUNTIME_SETTINGS_H

#include "commands.h"

/* All as the file says. */
void tg_settings_start(void);

/* Before an inference: new values of those that are drawn, where the port can. */
void tg_settings_draw(void);

/* The command SETTINGS. Refused while some layers have run and not all. */
tg_result tg_settings_command(tg_exchange *exchange);

#endif
