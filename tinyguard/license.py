# SPDX-License-Identifier: Apache-2.0
"""Under what terms tinyguard and all that it prints may be used."""

from tinyguard.paths import data_folder

SPDX = "SPDX-License-Identifier: Apache-2.0"
C_HEAD = f"/* {SPDX} */\n"  # first line of C, headers and linker scripts
MAKE_HEAD = f"# {SPDX}\n"  # first line of Makefiles, CMake files and Python


def license_text() -> str:
    """The licence itself: inside the wheel, or at the top of a checkout."""
    return (data_folder("firmware").parent / "LICENSE").read_text()
