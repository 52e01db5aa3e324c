# SPDX-License-Identifier: Apache-2.0
"""The cross and host compilers: the project's Makefile, the build, what the image takes, whether it fits."""

from tinyguard.toolchain.build import Image, build
from tinyguard.toolchain.compilers import cross_compiler, host_compiler
from tinyguard.toolchain.cores import core_flags, cores, isa
from tinyguard.toolchain.elf import Section, sections
from tinyguard.toolchain.fit import check_fit
from tinyguard.toolchain.makefile import makefile

__all__ = [
    "Image",
    "Section",
    "build",
    "check_fit",
    "core_flags",
    "cores",
    "cross_compiler",
    "host_compiler",
    "isa",
    "makefile",
    "sections",
]
