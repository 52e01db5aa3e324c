# SPDX-License-Identifier: Apache-2.0
"""The user's own CMSIS-NN: DIR/Include with its headers, DIR/CORE/libcmsis-nn.a for each core.

The library must have been compiled for the very instruction set of the core: which of its code runs,
and how much scratch that wants, was decided by the compiler's flags.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from tinyguard.errors import TinyguardError
from tinyguard.toolchain.attributes import archive_attributes
from tinyguard.toolchain.cores import core_flags

VARIABLE = "CMSIS_NN_ROOT"

# Tags of ADDENDA32, chapter 3.3
_CPU_ARCH, _FP_ARCH, _ABI_VFP_ARGS, _DSP, _MVE = 6, 10, 28, 46, 48
_ARCH_NAMES = {10: "ARMv7-M", 11: "ARMv6-M", 12: "ARMv6-M", 13: "ARMv7E-M", 16: "ARMv8-M base"}
_ARCH_NAMES |= {17: "ARMv8-M main", 21: "ARMv8.1-M main"}
_V6_M, _V6S_M = 11, 12
_ABI_NAMES = {0: "soft", 1: "hard"}
_ABI_COMPATIBLE = 3  # code that passes no floating-point arguments


@dataclass(frozen=True)
class _Core:
    """Values of the tags: architecture, newest floating-point unit, MVE."""

    arch: int
    fp_arch: int = 0
    mve: int = 0
    dsp: bool = False  # of ARMv8-M main, where it is optional


_CORES = {
    "cortex-m0": _Core(_V6S_M),
    "cortex-m0plus": _Core(_V6S_M),
    "cortex-m3": _Core(10),
    "cortex-m4": _Core(13, fp_arch=6),
    "cortex-m7": _Core(13, fp_arch=8),
    "cortex-m33": _Core(17, fp_arch=8, dsp=True),
    "cortex-m55": _Core(21, fp_arch=8, mve=2),
}


@dataclass(frozen=True)
class CmsisNN:
    """A checked copy: `root` absolute, `archive` relative to it."""

    root: Path
    archive: str


def find_cmsis_nn(core: str, root: Path | None = None) -> CmsisNN:
    """The library for `core` below `root`, or below $CMSIS_NN_ROOT.

    Raises TinyguardError when no folder is named, when headers or library are missing, and when the
    library was compiled for another core or another float ABI.
    """
    if root is None:
        named = os.environ.get(VARIABLE)
        if not named:
            raise TinyguardError(
                "--kernels cmsis-nn needs your own CMSIS-NN: give its folder by --cmsis-nn DIR or in "
                f"{VARIABLE} (DIR/Include, DIR/{core}/libcmsis-nn.a)"
            )
        root = Path(named)
    root = root.absolute()
    if any(character in " \t#$:" for character in str(root)):
        raise TinyguardError(f"make cannot take the path {str(root)!r}: link CMSIS-NN to one without spaces")
    if not (root / "Include" / "arm_nnfunctions.h").is_file():
        raise TinyguardError(f"no CMSIS-NN headers in {root}/Include: copy its folder Include there")
    archive = f"{core}/libcmsis-nn.a"
    if not (root / archive).is_file():
        flags = " ".join(core_flags(core))
        raise TinyguardError(f"no CMSIS-NN for {core}: put a library built with {flags} at {root / archive}")
    check_library(root / archive, core)
    return CmsisNN(root, archive)


def check_library(path: Path, core: str) -> None:
    """Raise TinyguardError unless every object of the archive was compiled for `core`."""
    try:
        objects = list(archive_attributes(path))
    except (ValueError, OSError) as error:
        raise TinyguardError(f"{path} is not a library of Arm objects ({error}): build it again") from None
    if not objects:
        raise TinyguardError(f"{path} holds no objects: build it again")
    for name, attributes in objects:
        problem = _mismatch(attributes, _CORES[core], hard="-mfloat-abi=hard" in core_flags(core))
        if problem:
            flags = " ".join(core_flags(core))
            raise TinyguardError(f"{path} ({name}) does not fit {core}: {problem}; build it with {flags}")


def _mismatch(attributes: dict[int, int | str], core: _Core, hard: bool) -> str | None:
    def tag(number: int) -> int:
        value = attributes.get(number, 0)
        return value if isinstance(value, int) else 0

    arch = _V6S_M if tag(_CPU_ARCH) == _V6_M else tag(_CPU_ARCH)
    if arch != core.arch:
        return f"compiled for {_ARCH_NAMES.get(arch, 'another architecture')}, not {_ARCH_NAMES[core.arch]}"
    abi = tag(_ABI_VFP_ARGS)
    if abi not in (int(hard), _ABI_COMPATIBLE):
        return f"float ABI {_ABI_NAMES.get(abi, 'unknown')}, not {_ABI_NAMES[int(hard)]}"
    if tag(_MVE) != core.mve:
        return f"compiled {'with' if tag(_MVE) else 'without'} MVE"
    if core.dsp and not tag(_DSP):
        return "compiled without the DSP extension"
    if tag(_FP_ARCH) > core.fp_arch:
        return "compiled for a newer floating-point unit"
    return None
