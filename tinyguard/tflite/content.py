# SPDX-License-Identifier: Apache-2.0
"""The content of a model file."""

from pathlib import Path

from tinyguard.errors import TinyguardError
from tinyguard.tflite.flatbuffer import MAX_FILE_BYTES


def read_bytes(source: Path | bytes) -> bytes:
    """The content of a model file, or the bytes themselves."""
    if isinstance(source, bytes):
        return source
    path = Path(source)
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise TinyguardError(f"{path}: larger than the {MAX_FILE_BYTES} bytes that are read")
        return path.read_bytes()
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise TinyguardError(f"{path}: {reason}; give the path of a .tflite file") from None
