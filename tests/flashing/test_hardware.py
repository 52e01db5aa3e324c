# SPDX-License-Identifier: Apache-2.0
"""Runners for hardware: exact commands, and what their failures become."""

import shutil
from pathlib import Path

import pytest

from tinyguard.boards import load
from tinyguard.errors import TinyguardError
from tinyguard.flashing import check_runner, flash
from tinyguard.toolchain import Image

BOARD = load("nucleo-f746")
PROGRAMS = {
    "openocd": "openocd",
    "stlink": "st-flash",
    "pyocd": "pyocd",
    "cubeprogrammer": "STM32_Programmer_CLI",
}


@pytest.fixture
def image(tmp_path: Path) -> Image:
    binary = tmp_path / "firmware.bin"
    binary.write_bytes(bytes(100))
    return Image(tmp_path / "firmware.elf", binary, 100, 200, {}, "ab" * 32)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}")
    return folder


def _program(folder: Path, name: str, says: str, status: int) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\necho \"$@\" > {folder}/arguments\necho '{says}' >&2\nexit {status}\n")
    program.chmod(0o755)


def test_a_dry_run_gives_the_exact_command(image: Image) -> None:
    result = flash(image, BOARD, dry_run=True)
    assert result["command"] == (
        f"openocd -f board/st_nucleo_f7.cfg -c 'program {{{image.bin}}} 0x08000000 verify reset exit'"
    )
    assert (result["address"], result["flash_bytes"], result["runner"]) == (0x0800_0000, 100, "openocd")


@pytest.mark.parametrize(
    ("runner", "command"),
    [
        ("stlink", "st-flash --reset write {} 0x08000000"),
        ("pyocd", "pyocd load --target stm32f746zg --base-address 0x08000000 {}"),
        ("cubeprogrammer", "STM32_Programmer_CLI -c port=SWD -w {} 0x08000000 -v -rst"),
    ],
)
def test_the_other_programmers_commands(image: Image, runner: str, command: str) -> None:
    assert flash(image, BOARD, runner=runner, dry_run=True)["command"] == command.format(image.bin)


@pytest.mark.skipif(shutil.which("openocd") is None, reason="openocd is not installed")
@pytest.mark.parametrize("name", ["nucleo-f746", "nucleo-f767", "netduinoplus2", "microbit"])
def test_the_real_openocd_reads_its_configuration_and_misses_the_probe(image: Image, name: str) -> None:
    lines: list[str] = []
    with pytest.raises(TinyguardError) as error:
        flash(image, load(name), runner="openocd", progress=lines.append)
    assert str(error.value) == (
        f"no debug probe found for {name}: plug the board in; `tinyguard ports` lists what is there"
    )
    said = "\n".join(lines)
    assert "open failed" in said or "CMSIS-DAP" in said
    assert "Can't find" not in said


@pytest.mark.parametrize("runner", sorted(PROGRAMS))
def test_success_gives_the_result(image: Image, path: Path, runner: str) -> None:
    _program(path, PROGRAMS[runner], "done", 0)
    result = flash(image, BOARD, runner=runner, port="/dev/ttyACM3")
    assert set(result) == {"board", "runner", "port", "image", "flash_bytes", "ram_bytes", "sha256"}
    assert (result["port"], result["image"]) == ("/dev/ttyACM3", str(image.bin))
    assert str(image.bin) in (path / "arguments").read_text()


@pytest.mark.parametrize("runner", sorted(PROGRAMS))
def test_a_missing_program_is_one_line(image: Image, path: Path, runner: str) -> None:
    with pytest.raises(TinyguardError, match=f"^{PROGRAMS[runner]} is not ") as error:
        flash(image, BOARD, runner=runner)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("runner", "says", "told"),
    [
        ("openocd", "Error: open failed", "no debug probe found"),
        ("openocd", "** Verify Failed **", "holds other bytes"),
        ("openocd", "Error: init mode failed (unable to connect to the target)", "does not reach the chip"),
        ("openocd", "Error: the moon is full", "openocd failed on nucleo-f746: Error: the moon is full"),
        ("stlink", "Couldn't find any ST-Link devices".replace("'", "'\\''"), "no debug probe found"),
        ("stlink", "ERROR flash loader", "st-flash failed"),
        ("pyocd", "No available debug probes are connected", "no debug probe found"),
        ("cubeprogrammer", "Error: No debug probe detected", "no debug probe found"),
    ],
)
def test_failures_become_clear_lines(image: Image, path: Path, runner: str, says: str, told: str) -> None:
    _program(path, PROGRAMS[runner], says, 1)
    with pytest.raises(TinyguardError) as error:
        flash(image, BOARD, runner=runner)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_a_runner_the_board_does_not_have_is_refused() -> None:
    with pytest.raises(
        TinyguardError, match="board nucleo-f746 has no runner 'emulator'; take one of: openocd"
    ):
        check_runner(BOARD, "emulator")
    assert check_runner(load("mps2-an500"), None) == "emulator"
