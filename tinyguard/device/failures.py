# SPDX-License-Identifier: Apache-2.0
"""What can go wrong on the way to a board, each with its own words."""

from tinyguard.device.protocol import NO_LAYER, Command, ErrorCode
from tinyguard.errors import TinyguardError

_MEANING = {
    ErrorCode.COMMAND: "does not know the command",
    ErrorCode.LENGTH: "got a request of the wrong length",
    ErrorCode.INDEX: "has no such input, output, layer or setting",
    ErrorCode.RANGE: "was asked for bytes beyond the end, or given a value out of range",
    ErrorCode.ORDER: "was asked out of order",
    ErrorCode.INPUT: "was asked to run with incomplete inputs",
    ErrorCode.CRC: "holds inputs whose CRC is wrong",
    ErrorCode.SESSION: "does not know this session",
    ErrorCode.BAUD: "cannot use the baud rate",
}


class PortError(TinyguardError):
    """The port cannot be opened."""


class PortVanishedError(TinyguardError):
    """The port closed while it was in use: cable pulled, emulator ended."""

    def __init__(self, port: str) -> None:
        super().__init__(
            f"port {port} vanished while it was in use: start the board again (tinyguard flash, or plug it "
            "in) and repeat the command with --resume"
        )


class NoReplyError(TinyguardError):
    """The port is there, the board is silent or speaks garbage."""


class WrongVersionError(TinyguardError):
    """The firmware speaks another version of the protocol."""


class WrongModelError(TinyguardError):
    """The board runs another network than the one expected."""

    def __init__(self, port: str, expected: str, found: str) -> None:
        super().__init__(
            f"the board on {port} runs another model: expected sha256 {expected[:16]}, found {found[:16]}; "
            "flash it with tinyguard flash"
        )
        self.expected = expected
        self.found = found


class DeviceError(TinyguardError):
    """The board refused a request. `code` is an ErrorCode, `layer` the layer meant or None."""

    def __init__(self, port: str, code: int, command: int, layer: int, detail: int) -> None:
        known = code in ErrorCode._value2member_map_
        self.code = ErrorCode(code) if known else code
        self.layer = None if layer == NO_LAYER else layer
        meaning = _MEANING.get(ErrorCode(code), "failed") if known else "failed"
        name = Command(command).name if command in Command._value2member_map_ else str(command)
        where = "" if self.layer is None else f" at layer {self.layer}"
        super().__init__(
            f"the board on {port} {meaning}{where} (error {code}, {name}, detail {detail}): "
            "flash it again with tinyguard flash if this firmware is older than this tinyguard"
        )


class FaultError(TinyguardError):
    """The board has stopped and says why."""

    def __init__(self, port: str, payload: bytes) -> None:
        what = payload.hex(" ") or "no more is known"
        super().__init__(
            f"the board on {port} stopped with a fault ({what}): reset it, or flash again: tinyguard flash "
            "MODEL --board B"
        )


class NonsenseError(TinyguardError):
    """A reply that is well framed and yet not what the protocol says."""

    def __init__(self, port: str, command: int) -> None:
        name = Command(command).name if command in Command._value2member_map_ else str(command)
        super().__init__(
            f"the board on {port} answered {name} with something else: flash it again with tinyguard flash"
        )


class SessionLostError(Exception):
    """The board answers but has forgotten the session; a new HELLO is due."""


class ShrinkError(Exception):
    """The chunk of this request is too large for the line; ask again with the link's new chunk."""
