# SPDX-License-Identifier: Apache-2.0
"""Changing the rate of a line with a way back."""

from tinyguard.device.failures import DeviceError, NoReplyError, PortError
from tinyguard.device.handshake import PATIENCE_S, ask
from tinyguard.device.link import Link
from tinyguard.device.protocol import (
    SET_BAUD_REQUEST,
    STATUS_REPLY,
    STATUS_REQUEST,
    Command,
    ErrorCode,
)

_TRIAL_S = 1.0
# The board's own trial is 2 s.
_FALL_BACK_S = 2.5


def negotiate_baud(link: Link, baud: int) -> bool:
    """Change both sides to `baud`; False when the line does not work so and both are back."""
    before = link.transport.baud
    try:
        ask(link, Command.SET_BAUD, SET_BAUD_REQUEST.pack(baud=baud), 0)
    except DeviceError as error:
        if error.code != ErrorCode.BAUD:
            raise
        return False
    try:
        link.transport.baud = baud
        _probe(link, _TRIAL_S)
    except (NoReplyError, PortError):
        link.transport.baud = before
        _probe(link, _FALL_BACK_S + PATIENCE_S)
        return False
    return True


def _probe(link: Link, patience_s: float) -> None:
    link.request(
        Command.STATUS, STATUS_REQUEST.pack(repaint=0), patience_s=patience_s, reply_bytes=STATUS_REPLY.size
    )
