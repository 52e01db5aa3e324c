# SPDX-License-Identifier: Apache-2.0
"""The clock trees and UARTs of the STM32 ports, by the reference manuals' rules, on simulated registers."""

import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import serial

from tests.firmware_ports.project import HERE, write_project
from tinyguard.boards import load
from tinyguard.flashing import flash, stop
from tinyguard.toolchain import build

pytestmark = [pytest.mark.emulator, pytest.mark.xdist_group("stm32")]

HSE_WORKS, PLL_WORKS, OVER_DRIVE_WORKS = 1, 2, 4
RCC_CR, RCC_PLLCFGR, RCC_CFGR = 0x40023800, 0x40023804, 0x40023808
PWR_CR, FLASH_ACR = 0x40007000, 0x40023C00
HSI_HZ = 16_000_000
SIMULATION_BYTES = 16 + 40 * 12 + 64 * 8
LOG_ENTRIES = 64


@dataclass(frozen=True)
class Family:
    """`flash_step_hz`: core frequency one flash wait state is good for at 2.7 to 3.6 V."""

    port: str
    board: str
    emulator: str
    status: int
    data: int
    divider: int
    flash_step_hz: int
    apb1_max_hz: int
    apb2_max_hz: int
    uart_bus: int
    pins: dict[int, tuple[int, int]]


# pins: register -> (mask, value): alternate function 7 in AFRL / AFRH, mode 2 in MODER.
F4 = Family(
    "stm32f4", "netduinoplus2", "mps2-an386", 0x00, 0x04, 0x08, 30_000_000, 42_000_000, 84_000_000, 2,
    {0x40020420: (0xFF000000, 0x77000000), 0x40020400: (0x0000F000, 0x0000A000)},
)  # fmt: skip
F7 = Family(
    "stm32f7", "nucleo-f746", "mps2-an500", 0x1C, 0x24, 0x0C, 30_000_000, 54_000_000, 108_000_000, 1,
    {0x40020C24: (0x000000FF, 0x00000077), 0x40020C00: (0x000F0000, 0x000A0000)},
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    clock_hz: int
    byte: int
    overruns: int
    writes: list[tuple[int, int]]

    def last(self, address: int) -> int:
        return next((value for where, value in reversed(self.writes) if where == address), 0)

    def position(self, address: int, mask: int, value: int) -> int:
        """Where in the sequence of writes `address` first held `value` under `mask`."""
        return next(
            i for i, (where, held) in enumerate(self.writes) if where == address and held & mask == value
        )


class Simulated:
    def __init__(self, port: str, family: Family) -> None:
        self.family, self.board = family, load(family.board)
        self.serial = serial.Serial(port, timeout=5)
        time.sleep(1)

    def run(self, works: int) -> Outcome:
        self.serial.write(bytes([works]))
        words = struct.unpack(f"<{4 + 2 * LOG_ENTRIES}I", self.serial.read(4 * (4 + 2 * LOG_ENTRIES)))
        writes = list(zip(words[4::2], words[5::2], strict=True))[: words[3]]
        return Outcome(words[0], words[1], words[2], writes)


@pytest.fixture(scope="module", params=[F4, F7], ids=lambda family: family.port)
def simulated(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Simulated]:
    family = request.param
    board, host_board = load(family.board), load(family.emulator)
    directory = tmp_path_factory.mktemp(family.port)
    write_project(host_board, directory, [HERE / "simulated.c"], SIMULATION_BYTES)
    text = (directory / "Makefile").read_text()
    defines = (
        f"-DFAMILY_CLOCK='\"ports/{family.port}/clock.c\"' -DFAMILY_UART='\"ports/{family.port}/uart.c\"' "
        f"-DFAMILY_CLOCK_HZ={board.clock_hz}u -DFAMILY_UART_CLOCK_HZ={board.uart.clock_hz}u "
        f"-DFAMILY_UART_BASE={board.uart.base}u -DFAMILY_HSE_HZ={board.clocks.hse_hz}u "
        f"-DFAMILY_UART_STATUS={family.status}u -DFAMILY_UART_DATA={family.data}u"
    )
    (directory / "Makefile").write_text(text.replace("CFLAGS := ", f"CFLAGS := {defines} ", 1))
    result = flash(build(directory, host_board), host_board, runner="emulator")
    yield Simulated(result["port"], family)
    stop(result["port"])


def _pll_hz(outcome: Outcome, hse_hz: int) -> int:
    value = outcome.last(RCC_PLLCFGR)
    source = hse_hz if value >> 22 & 1 else HSI_HZ
    vco_input = source / (value & 0x3F)
    vco = vco_input * (value >> 6 & 0x1FF)
    usb = vco / (value >> 24 & 0xF)
    assert 950_000 <= vco_input <= 2_100_000
    assert 100_000_000 <= vco <= 432_000_000
    assert usb <= 48_000_000
    return int(vco / (2 * (value >> 16 & 3) + 2))


def _apb_hz(outcome: Outcome, shift: int) -> int:
    code = outcome.last(RCC_CFGR) >> shift & 7
    return outcome.clock_hz // (1 if code < 4 else 2 << (code - 4))


@pytest.mark.parametrize("hse", [HSE_WORKS, 0], ids=["crystal", "internal"])
def test_full_speed_from_either_oscillator(simulated: Simulated, hse: int) -> None:
    family, board = simulated.family, simulated.board
    outcome = simulated.run(hse | PLL_WORKS | OVER_DRIVE_WORKS)
    assert outcome.clock_hz == board.clock_hz
    assert _pll_hz(outcome, board.clocks.hse_hz) == board.clock_hz
    assert (outcome.last(RCC_PLLCFGR) >> 22 & 1) == (1 if hse else 0)
    assert _apb_hz(outcome, 10) <= family.apb1_max_hz
    assert _apb_hz(outcome, 13) <= family.apb2_max_hz
    assert _apb_hz(outcome, 10 if family.uart_bus == 1 else 13) == board.uart.clock_hz
    switch = outcome.position(RCC_CFGR, 0x3, 0x2)
    wait_states = -(-board.clock_hz // family.flash_step_hz) - 1
    assert outcome.position(FLASH_ACR, 0xF, wait_states) < switch
    assert outcome.position(RCC_CFGR, 0x1C00, 0x1400) < switch
    if family is F7:
        assert outcome.position(PWR_CR, 0x30000, 0x30000) < switch
        assert outcome.position(RCC_CR, 1 << 18, 1 << 18) < outcome.position(RCC_CR, 1 << 16, 1 << 16)
        assert outcome.last(FLASH_ACR) & 0x300 == 0x300
        assert outcome.last(0xE000ED14) == 0x30000
    else:
        assert outcome.last(FLASH_ACR) & 0x700 == 0x700


@pytest.mark.parametrize("hse", [HSE_WORKS, 0], ids=["crystal", "internal"])
def test_without_pll_it_stays_as_it_woke(simulated: Simulated, hse: int) -> None:
    _stays_as_it_woke(simulated, simulated.run(hse | OVER_DRIVE_WORKS))


@pytest.mark.parametrize("simulated", [F7], ids=["stm32f7"], indirect=True)
def test_without_over_drive_it_stays_as_it_woke(simulated: Simulated) -> None:
    _stays_as_it_woke(simulated, simulated.run(HSE_WORKS | PLL_WORKS))


def _stays_as_it_woke(simulated: Simulated, outcome: Outcome) -> None:
    assert outcome.clock_hz == HSI_HZ
    assert outcome.last(RCC_CFGR) == 0
    assert outcome.last(RCC_CR) & 1 << 24 == 0
    assert _baud(simulated, outcome) == pytest.approx(115_200, rel=0.02)


def test_the_uart_is_on_its_pins_at_its_rate(simulated: Simulated) -> None:
    outcome = simulated.run(HSE_WORKS | PLL_WORKS | OVER_DRIVE_WORKS)
    assert _baud(simulated, outcome) == pytest.approx(115_200, rel=0.005)
    for register, (mask, value) in simulated.family.pins.items():
        assert outcome.last(register) & mask == value


def test_a_byte_and_an_overrun_are_both_taken(simulated: Simulated) -> None:
    outcome = simulated.run(HSE_WORKS | PLL_WORKS | OVER_DRIVE_WORKS)
    assert outcome.byte == 0x5A
    assert outcome.overruns == 1


def _baud(simulated: Simulated, outcome: Outcome) -> float:
    register = simulated.board.uart.base + simulated.family.divider
    return _apb_hz(outcome, 10 if simulated.family.uart_bus == 1 else 13) / outcome.last(register)
