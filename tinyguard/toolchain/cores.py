# SPDX-License-Identifier: Apache-2.0
"""The Cortex-M cores: compiler flags."""

from tinyguard.errors import TinyguardError

_SINGLE = ("-mfloat-abi=hard", "-mfpu=fpv5-sp-d16")

# The M7 on the MPS2 has no double precision promised, so every M7 is compiled for single precision.
_CORES: dict[str, tuple[str, ...]] = {
    "cortex-m0": ("-mcpu=cortex-m0", "-mfloat-abi=soft"),
    "cortex-m0plus": ("-mcpu=cortex-m0plus", "-mfloat-abi=soft"),
    "cortex-m3": ("-mcpu=cortex-m3", "-mfloat-abi=soft"),
    "cortex-m4": ("-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"),
    "cortex-m7": ("-mcpu=cortex-m7", *_SINGLE),
    "cortex-m33": ("-mcpu=cortex-m33", *_SINGLE),
    "cortex-m55": ("-mcpu=cortex-m55", "-mfloat-abi=hard"),
}


_ISAS = {"cortex-m4": "dsp", "cortex-m7": "dsp", "cortex-m33": "dsp", "cortex-m55": "mve"}


def isa(core: str) -> str:
    """What kernels for `core` may use: "portable" C, "dsp" (SMLAD family) or "mve" (Helium)."""
    return _ISAS.get(core, "portable")


def cores() -> list[str]:
    """Cores that images can be built for."""
    return list(_CORES)


def core_flags(core: str) -> tuple[str, ...]:
    """GCC's flags for `core`, the same for compiling and linking."""
    if core not in _CORES:
        raise TinyguardError(f"no core named {core!r}; known: {', '.join(_CORES)}")
    return (*_CORES[core], "-mthumb")
