/* SPDX-License-Identifier: Apache-2.0 */
/* The host as a board. */
#ifndef TG_BOARD_H
#define TG_BOARD_H

#define TG_BOARD_NAME "host"
#define TG_CORE_NAME "host"
#define TG_BUILD_ID "0123456789abcdef"
#define TG_BAUD 115200
#ifndef TG_CHUNK_BYTES
#define TG_CHUNK_BYTES 256
#endif

#endif
