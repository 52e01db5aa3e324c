# SPDX-License-Identifier: Apache-2.0
"""Every emulated board: receive ring, sleep, counter, reset, fault, and the sizes that were predicted."""

import os
import random
import time
from collections.abc import Iterator

import pytest

from tests.firmware_ports.project import Session, echo_image
from tinyguard.boards import load
from tinyguard.toolchain import Image

pytestmark = [pytest.mark.emulator, pytest.mark.xdist_group("ports")]

# SysTick or TIMER0 ticks per instruction at shift=6 (64 ns per instruction).
TICKS_PER_INSTRUCTION = {
    "microbit": 1.024,
    "mps2-an385": 1.6,
    "mps2-an386": 1.6,
    "mps2-an500": 1.6,
    "mps2-an505": 1.28,
    "mps3-an547": 2.048,
    "netduinoplus2": 10.752,
}
# QEMU drops their accesses to addresses where nothing is; hardware and the others fault.
NO_BUS_FAULT = {"mps2-an385", "mps2-an386", "mps2-an500"}
KNOWN_INSTRUCTIONS = 8_000_000
TICKS = 2
STACK_OVERFLOW, UNDEFINED = 6, 7


@pytest.fixture(scope="module", params=sorted(TICKS_PER_INSTRUCTION))
def board_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def image(board_name: str, tmp_path_factory: pytest.TempPathFactory) -> Image:
    return echo_image(load(board_name), tmp_path_factory.mktemp(board_name))


@pytest.fixture(scope="module")
def session(board_name: str, image: Image) -> Iterator[Session]:
    with Session(image, load(board_name)) as session:
        yield session


def test_frames_of_3_kb_are_echoed_without_loss(session: Session) -> None:
    generator = random.Random(1)
    for _ in range(5):
        frame = generator.randbytes(3000)
        assert session.echo(frame) == frame
    assert session.words(1, 5)[4] == 0


def test_calibration_and_a_known_loop_agree(session: Session, board_name: str) -> None:
    kind, instructions, ticks, _, _ = session.words(1, 5)
    assert kind == TICKS
    assert ticks / instructions == pytest.approx(TICKS_PER_INSTRUCTION[board_name], rel=1e-3)
    # Several wraps of a 24-bit SysTick on netduinoplus2.
    (counted,) = session.words(2, 1)
    assert counted * instructions / ticks == pytest.approx(KNOWN_INSTRUCTIONS, rel=1e-3)


def test_an_idle_board_costs_the_host_nothing(session: Session) -> None:
    before = _cpu_seconds(session.pid)
    time.sleep(1)
    assert _cpu_seconds(session.pid) - before < 0.2


def test_the_clock_reported_is_the_true_one(session: Session, board_name: str) -> None:
    board = load(board_name)
    # QEMU's STM32F405 has no clock controller: its PLL never locks, and the port says so.
    expected = 16_000_000 if board_name == "netduinoplus2" else board.clock_hz
    assert session.words(1, 5)[3] == expected


def test_baud_rates_are_taken_or_refused(session: Session) -> None:
    assert session.words(3, 1) == (1,)
    assert session.words(4, 1) == (0,)
    assert session.echo(b"still here") == b"still here"


def test_sections_are_as_predicted(image: Image, board_name: str) -> None:
    board = load(board_name)
    assert image.sections[".tg_stack"] == board.stack_bytes
    assert image.sections[".tg_arena"] == 100
    assert image.sections[".tg_constants"] == 8
    assert ".data" not in image.sections
    assert ".bss" not in image.sections


@pytest.mark.parametrize("fault", [pytest.param(STACK_OVERFLOW, marks=pytest.mark.slow), UNDEFINED])
def test_reset_starts_again_and_a_fault_is_silence(board_name: str, image: Image, fault: int) -> None:
    with Session(image, load(board_name)) as session:
        calibration = session.words(1, 5)
        session.serial.write(b"\xaa\x05")
        time.sleep(0.3)
        assert session.words(1, 5) == calibration
        session.serial.write(bytes([0xAA, fault]))
        session.serial.timeout = 1
        survives = fault == STACK_OVERFLOW and board_name in NO_BUS_FAULT
        assert session.words(1, 5) == (calibration if survives else ())


def _cpu_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as stream:
        fields = stream.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
