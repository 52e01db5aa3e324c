# SPDX-License-Identifier: Apache-2.0
"""What is known of a board before anything is compiled."""

from collections.abc import Mapping
from dataclasses import dataclass

PARTS = ("code", "constants", "stack", "link", "arena")


@dataclass(frozen=True)
class Memory:
    """One region of the address space; `kind` is "rom" (kept in the image) or "ram"."""

    name: str
    base: int
    size: int
    kind: str


@dataclass(frozen=True)
class Uart:
    base: int
    irq: int
    baud: int
    clock_hz: int


@dataclass(frozen=True)
class Counter:
    """A timer used instead of SysTick."""

    base: int
    irq: int


@dataclass(frozen=True)
class Clocks:
    """`hse_hz`: external oscillator that feeds the PLL."""

    hse_hz: int


@dataclass(frozen=True)
class Link:
    """`ring_bytes`: receive ring, a power of two. `chunk_bytes`: largest payload of one frame."""

    ring_bytes: int
    chunk_bytes: int


@dataclass(frozen=True)
class Emulator:
    """QEMU's machine and the arguments that make its counts reproducible."""

    machine: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Probe:
    """How hardware is programmed.

    `usb`: (vendor, product) ids of the serial port on the board. `openocd`: configuration files.
    `pyocd`: target name or None. `stlink`: programmable by st-flash and STM32CubeProgrammer.
    """

    usb: tuple[tuple[int, int], ...]
    openocd: tuple[str, ...]
    pyocd: str | None
    stlink: bool


@dataclass(frozen=True)
class Board:
    """`placement` maps each of `PARTS` to the name of a memory; sizes in bytes, clocks in Hz."""

    name: str
    title: str
    core: str
    port: str
    clock_hz: int
    stack_bytes: int
    memory: tuple[Memory, ...]
    placement: Mapping[str, str]
    uart: Uart
    link: Link
    counter: Counter | None = None
    clocks: Clocks | None = None
    emulator: Emulator | None = None
    probe: Probe | None = None

    def region(self, part: str) -> Memory:
        """Memory that holds `part`, one of `PARTS`."""
        wanted = self.placement[part]
        return next(memory for memory in self.memory if memory.name == wanted)

    @property
    def flash_address(self) -> int:
        """Where an image is programmed: its vectors and code."""
        return self.region("code").base

    @property
    def runners(self) -> tuple[str, ...]:
        """Runners that can flash this board, the default first."""
        names = ["emulator"] if self.emulator else []
        if self.probe:
            names += ["openocd"] if self.probe.openocd else []
            names += ["stlink", "cubeprogrammer"] if self.probe.stlink else []
            names += ["pyocd"] if self.probe.pyocd else []
        return tuple(names)
