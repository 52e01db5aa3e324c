/* SPDX-License-Identifier: Apache-2.0 */
/* For networks without settings, whose images need not carry settings.c. */
#include "settings.h"

void tg_settings_start(void)
{
}

void tg_settings_draw(void)
{
}

tg_result tg_settings_command(tg_exchange *exchange)
{
    (void)exchange;
    return tg_failed(TG_ERROR_INDEX, 0);
}
