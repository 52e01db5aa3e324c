# SPDX-License-Identifier: Apache-2.0
"""Putting an image on a board: one file per runner; emulated boards are boards."""

from tinyguard.flashing.flash import check_runner, flash
from tinyguard.flashing.running import Running, emulator_of, running, stop, stop_all

__all__ = ["Running", "check_runner", "emulator_of", "flash", "running", "stop", "stop_all"]
