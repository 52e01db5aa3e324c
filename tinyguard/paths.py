# SPDX-License-Identifier: Apache-2.0
"""Where the data that travels with the package lies."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def data_folder(name: str) -> Path:
    """Folder `firmware` or `boards`: inside the wheel, or at the top of a checkout."""
    packaged = _PACKAGE / "_data" / name
    return packaged if packaged.is_dir() else _PACKAGE.parent / name
