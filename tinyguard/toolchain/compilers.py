# SPDX-License-Identifier: Apache-2.0
"""Finding the compilers."""

import shutil

from tinyguard.errors import TinyguardError


def find_tool(name: str, package: str) -> str:
    """Path of an executable; when it is missing, a line that says what to install."""
    path = shutil.which(name)
    if path is None:
        raise TinyguardError(f"{name} is not installed; type: sudo apt-get install {package}")
    return path


def cross_compiler() -> str:
    """Path of arm-none-eabi-gcc."""
    return find_tool("arm-none-eabi-gcc", "gcc-arm-none-eabi libnewlib-arm-none-eabi")


def host_compiler() -> str:
    """Path of the host's gcc."""
    return find_tool("gcc", "gcc libc6-dev")
