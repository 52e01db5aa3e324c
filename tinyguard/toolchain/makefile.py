# SPDX-License-Identifier: Apache-2.0
"""The generated project's Makefile: `make` alone builds it, the same image in every folder."""

from collections.abc import Mapping, Sequence

from tinyguard.boards import Board
from tinyguard.license import MAKE_HEAD
from tinyguard.toolchain.cores import core_flags

_TEXT = """\
# Firmware for {title}: `make` writes build/firmware.elf and build/firmware.bin.
CROSS ?= arm-none-eabi-
BUILD := build
SOURCES := {sources}
{libraries}
CORE := {core}
OPTIMIZE ?= {optimize}
CFLAGS := $(CORE) -std=c11 $(OPTIMIZE) -g -ffunction-sections -fdata-sections -fno-common -ffp-contract=off \\
    -fno-exceptions -fno-asynchronous-unwind-tables -fno-strict-aliasing \\
    -Wall -Wextra -Werror -Wshadow -Wconversion "-ffile-prefix-map=$(CURDIR)=." {includes}
LDFLAGS := $(CORE) -nostartfiles --specs=nano.specs -T board.ld -Wl,--gc-sections -Wl,--build-id=none \\
    -Wl,-Map=$(BUILD)/firmware.map

OBJECTS := $(patsubst %,$(BUILD)/%.o,$(SOURCES))

.PHONY: all clean
.DELETE_ON_ERROR:

all: $(BUILD)/firmware.bin
{per_file}
$(BUILD)/%.o: % Makefile
\t@mkdir -p $(@D)
\t$(CROSS)gcc $(CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/firmware.elf: $(OBJECTS) $(LIBRARIES) board.ld
\t$(CROSS)gcc $(LDFLAGS) $(OBJECTS) $(LIBRARIES) -o $@

$(BUILD)/firmware.bin: $(BUILD)/firmware.elf
\t$(CROSS)objcopy -O binary $< $@

clean:
\trm -rf $(BUILD)

-include $(OBJECTS:.o=.d)
"""


def makefile(
    board: Board,
    sources: Sequence[str],
    *,
    includes: Sequence[str] = (".", "include"),
    optimize: str = "-O2",
    file_flags: Mapping[str, Sequence[str]] | None = None,
    libraries: Sequence[str] = (),
) -> str:
    """Text of the Makefile of a project whose root holds board.h and board.ld.

    `sources` and `includes` are relative to the root. `file_flags` maps a source to flags added after the
    common ones. `libraries` are archives to link (relative, or absolute for one outside the project).
    """
    rules = "".join(
        f"\n$(BUILD)/{source}.o: CFLAGS += {' '.join(flags)}"
        for source, flags in sorted((file_flags or {}).items())
    )
    return MAKE_HEAD + _TEXT.format(
        title=board.title,
        sources=_column(sources),
        libraries=f"LIBRARIES := {_column(libraries)}".rstrip() + "\n",
        core=" ".join(core_flags(board.core)),
        optimize=optimize,
        includes=" ".join(f"-I{folder}" for folder in includes),
        per_file=rules + "\n" if rules else "",
    )


def _column(items: Sequence[str]) -> str:
    return " \\\n    ".join(items)
