# SPDX-License-Identifier: Apache-2.0
"""RAM of the runtime, known without compiling."""

from tinyguard.device.protocol import CRC_BYTES, FIXED_BYTES, HEADER_BYTES

_LINK_FIXED_BYTES = 72


def runtime_state_bytes(chunk_bytes: int) -> int:
    """Bytes of the runtime's one struct (firmware/runtime/link.h); `chunk_bytes` is a multiple of 8."""
    frame_bytes = HEADER_BYTES + FIXED_BYTES + chunk_bytes + CRC_BYTES
    return _LINK_FIXED_BYTES + 2 * frame_bytes


def encoded_frame_bytes(chunk_bytes: int) -> int:
    """Longest frame on the wire, delimiters included, for a receive ring that should hold a whole one."""
    body_bytes = HEADER_BYTES + FIXED_BYTES + chunk_bytes + CRC_BYTES
    return body_bytes + body_bytes // 254 + 1 + 2
