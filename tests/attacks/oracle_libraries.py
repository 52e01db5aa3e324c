# SPDX-License-Identifier: Apache-2.0
"""The attack libraries that ours are compared with, which may not be installed."""

import fcntl

import pytest


def need(*names: str) -> None:
    """Import the libraries, or skip the module that asks for them.

    One process at a time: ART writes a file into the home directory at its first import ever, and fails
    where another process writes it between the two looks that it takes.
    """
    with open(__file__) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in names:
            pytest.importorskip(name, reason=f"{name} is not installed: pip install 'tinyguard[oracles]'")
