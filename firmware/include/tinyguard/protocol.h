/* SPDX-License-Identifier: Apache-2.0 */
/* The wire between host and board; the same as tinyguard/device/protocol.py, which a test compares.

   A frame is 0, COBS(header, payload, CRC-32 of both), 0. All numbers are little-endian. The host asks, the
   device answers with the same sequence, session and attempt, and command | TG_REPLY. */
#ifndef TINYGUARD_PROTOCOL_H
#define TINYGUARD_PROTOCOL_H

#include <stdint.h>

#define TG_PROTOCOL_VERSION 2
#define TG_REPLY 0x80
#define TG_NO_LAYER 0xFFFF
#define TG_CHUNK_MIN 32
#define TG_CHUNK_MAX 16384

/* Bytes of a frame beside its chunk of data: header, the longest fixed part of a payload, CRC. */
#define TG_HEADER_BYTES 8
#define TG_FIXED_BYTES 12
#define TG_CRC_BYTES 4

enum {
    TG_HELLO = 1,
    TG_INFO = 2,
    TG_DESCRIBE = 3,
    TG_LAYER_INFO = 4,
    TG_WRITE_INPUT = 5,
    TG_INVOKE = 6,
    TG_READ_OUTPUT = 7,
    TG_READ_LAYER = 8,
    TG_RUN = 9,
    TG_STATUS = 10,
    TG_SET_BAUD = 11,
    TG_RESET = 12,
    TG_SETTINGS = 13,
    TG_FAULT = 125, /* reply only, session 0: what stopped the board */
    TG_NAK = 126,  /* reply only, session 0: a frame arrived broken */
    TG_ERROR = 127 /* reply only: tg_error_reply */
};

enum {
    TG_OK = 0,
    TG_ERROR_COMMAND = 1, /* no such command */
    TG_ERROR_LENGTH = 2,  /* payload of the wrong length; detail: the length */
    TG_ERROR_INDEX = 3,   /* no such input, output, layer or setting; detail: the index */
    TG_ERROR_RANGE = 4,   /* bytes beyond the end of a tensor or of a frame; detail: the end asked for; of SET, a value
                             out of range; detail: the setting */
    TG_ERROR_ORDER = 5,   /* not now; layer: the one that could run next; detail: the one asked for */
    TG_ERROR_INPUT = 6,   /* inputs incomplete; detail: index of the first missing */
    TG_ERROR_CRC = 7,     /* inputs in memory are not what the host sent; detail: their CRC-32 */
    TG_ERROR_SESSION = 8, /* HELLO first: the device was reset, or another host took over */
    TG_ERROR_BAUD = 9     /* the rate cannot be had; detail: the rate asked for */
};

enum { TG_DESCRIBE_INPUT = 0, TG_DESCRIBE_OUTPUT = 1, TG_DESCRIBE_LAYER = 2 };

/* The count cannot be trusted: bytes arrived while it was taken. */
#define TG_FLAG_DISTURBED 1

#define TG_PACKED __attribute__((packed))

typedef struct TG_PACKED {
    uint8_t command;
    uint8_t attempt; /* of the request that is answered */
    uint16_t sequence;
    uint32_t session;
} tg_header;

typedef struct TG_PACKED {
    uint8_t code;
    uint8_t command;
    uint16_t layer; /* TG_NO_LAYER where none is meant */
    uint32_t detail;
} tg_error_reply;

/* Header and HELLO stay as they are in every version of the protocol. */
typedef struct TG_PACKED {
    uint16_t version;
} tg_hello_request;

typedef struct TG_PACKED {
    uint16_t version;
    uint16_t chunk_bytes;
    uint16_t input_count;
    uint16_t output_count;
    uint16_t layer_count;
} tg_hello_reply;

/* INFO returns a slice of tg_board_info. */
typedef struct TG_PACKED {
    uint16_t offset;
    uint16_t count;
} tg_info_request;

typedef struct TG_PACKED {
    uint8_t model_sha256[32];
    char board[24];
    char core[16];
    char build[16];
    uint32_t clock_hz;
    uint32_t counter_kind;
    uint32_t calibration_instructions;
    uint32_t calibration_ticks;
    uint32_t arena_bytes;
    uint32_t link_bytes; /* state of the runtime, without the port's */
    uint32_t stack_bytes;
    uint32_t baud;
} tg_board_info;

typedef struct TG_PACKED {
    uint8_t kind;
    uint16_t layer; /* of TG_DESCRIBE_LAYER, else 0 */
    uint16_t index;
} tg_describe_request;

typedef struct TG_PACKED {
    uint32_t size_bytes;
    float scale;
    int32_t zero_point;
    uint32_t shape[6];
    uint8_t dtype;
    uint8_t rank;
    uint8_t variable; /* 1: an output of variable length; its count goes before its used bytes */
} tg_describe_reply;

typedef struct TG_PACKED {
    uint16_t layer;
} tg_layer_info_request;

typedef struct TG_PACKED {
    uint16_t output_count;
} tg_layer_info_reply;

/* Followed by the bytes. Inputs are written in order; what was written before may be written again. */
typedef struct TG_PACKED {
    uint32_t offset;
    uint16_t index;
} tg_write_request;

/* Each layer from first to last is run. All layers of a network with exits, here and by RUN, are run up to the
   exit that is taken, and count as run. */
typedef struct TG_PACKED {
    uint32_t input_crc; /* CRC-32 of all inputs one after the other; compared when first_layer is 0 */
    uint16_t first_layer;
    uint16_t last_layer;
    uint16_t output_bytes; /* to append to the reply when the last layer of the network has run, at most */
} tg_invoke_request;

/* Of INVOKE and RUN; followed by the outputs, one after the other: all bytes, or of one of variable length a
   uint32_t, how many are used, and only those. RUN's request is all inputs one after the other. */
typedef struct TG_PACKED {
    uint64_t count;
    uint8_t flags;
} tg_invoke_reply;

/* Replied with the bytes; of an output of variable length with a uint32_t, how many are used, and those of them
   that were asked for. */
typedef struct TG_PACKED {
    uint32_t offset;
    uint16_t count;
    uint16_t index;
} tg_read_output_request;

typedef struct TG_PACKED {
    uint32_t offset;
    uint16_t count;
    uint16_t layer;
    uint16_t output;
} tg_read_layer_request;

typedef struct TG_PACKED {
    uint8_t repaint; /* 1: forget the stack's high-water mark once this reply is made */
} tg_status_request;

typedef struct TG_PACKED {
    uint32_t stack_high_water; /* bytes */
    uint32_t stack_at_invoke;  /* bytes in use when the last inference began */
    uint32_t overruns;
    uint32_t frames;
    uint32_t frame_errors;
} tg_status_reply;

typedef struct TG_PACKED {
    uint32_t baud;
} tg_set_baud_request;

enum {
    TG_SETTINGS_TELL = 0,   /* a setting's kind and value: that of the last inference, or in force for the next */
    TG_SETTINGS_SET = 1,    /* give values to some, all or none; they hold until reset, whoever gave them */
    TG_SETTINGS_RESTORE = 2 /* back to the file's, or to being drawn: those named, or all */
};

/* SETTINGS begins with one of these. Where the network has no settings: TG_ERROR_INDEX. Refused with
   TG_ERROR_ORDER while some layers have run and not all. What is refused changes nothing. */
typedef struct TG_PACKED {
    uint8_t what;   /* TG_SETTINGS_TELL */
    uint16_t index; /* of the setting */
    uint16_t first; /* word of its value */
    uint16_t words;
} tg_settings_tell_request;

/* Followed by the words that were asked for. */
typedef struct TG_PACKED {
    uint16_t setting_count; /* of the network */
    uint16_t count;         /* entries */
    uint8_t kind;           /* TG_BOOL, ... of model.h */
    uint8_t drawn;          /* 1: a new value is drawn before every inference */
} tg_settings_tell_reply;

/* SET is `what`, then for each setting this and its words; RESTORE is `what` and the indices, uint16_t each, none
   for all. Their replies are empty. Of a setting that is given twice the last value stays. */
typedef struct TG_PACKED {
    uint16_t index;
    uint16_t words; /* of its whole value */
} tg_settings_entry;

#endif
