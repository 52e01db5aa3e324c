# SPDX-License-Identifier: Apache-2.0
"""Emulated boards: start, record, find again, stop; never the wrong process."""

import dataclasses
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.firmware_ports.project import echo_image
from tinyguard.boards import load
from tinyguard.errors import TinyguardError
from tinyguard.flashing import emulator_of, flash, running, stop, stop_all
from tinyguard.flashing.ports import find_port, ports
from tinyguard.flashing.processes import start_time
from tinyguard.flashing.running import Running, record, state_folder
from tinyguard.toolchain import Image

pytestmark = pytest.mark.emulator
BOARD = load("mps2-an385")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return echo_image(BOARD, tmp_path_factory.mktemp("echo"))


@pytest.fixture(autouse=True)
def none_left() -> Iterator[None]:
    yield
    stop_all()


def test_flash_starts_records_and_stop_ends_it(image: Image) -> None:
    lines: list[str] = []
    result = flash(image, BOARD, progress=lines.append)
    assert result == {
        "board": "mps2-an385",
        "runner": "emulator",
        "port": result["port"],
        "pid": result["pid"],
        "image": str(image.elf),
        "flash_bytes": image.flash_bytes,
        "ram_bytes": image.ram_bytes,
        "sha256": image.sha256,
    }
    assert lines == [f"mps2-an385 runs in QEMU (pid {result['pid']}) at {result['port']}"]
    (one,) = running()
    assert (one.board, one.port, one.pid, one.sha256) == (
        "mps2-an385", result["port"], result["pid"], image.sha256,
    )  # fmt: skip
    assert emulator_of(result["port"]) == one
    assert os.getsid(one.pid) != os.getsid(0)
    assert stop(result["port"]) == one
    assert start_time(one.pid) is None
    assert running() == []


def test_an_image_at_a_relative_path_starts(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(image.elf.parent)
    relative = dataclasses.replace(image, elf=Path(image.elf.name), bin=Path(image.bin.name))
    assert flash(relative, BOARD)["image"] == str(image.elf)
    assert [one.image for one in running()] == [str(image.elf)]


def test_two_boards_run_and_are_told_apart(image: Image) -> None:
    first, second = flash(image, BOARD), flash(image, BOARD)
    assert {one.port for one in running()} == {first["port"], second["port"]}
    with pytest.raises(
        TinyguardError, match=r"several ports lead to a mps2-an385: .* choose one with --serial"
    ):
        find_port("mps2-an385")
    stop(first["port"])
    assert find_port("mps2-an385").port == second["port"]
    assert [port.port for port in ports() if port.kind == "emulator"] == [second["port"]]
    assert [one.pid for one in stop_all()] == [second["pid"]]


def test_a_board_that_died_is_forgotten(image: Image) -> None:
    result = flash(image, BOARD)
    os.kill(result["pid"], 9)
    while start_time(result["pid"]) is not None:
        pass
    assert running() == []
    with pytest.raises(TinyguardError, match=f"no emulated board runs at {result['port']}"):
        stop(result["port"])


def test_a_reused_pid_is_never_killed() -> None:
    with subprocess.Popen(["sleep", "60"]) as bystander:
        started = start_time(bystander.pid)
        record(Running("mps2-an385", "/dev/pts/99", bystander.pid, f"{started}0", "a.elf", 1, 1, "0"))
        assert running() == []
        assert stop_all() == []
        assert bystander.poll() is None
        assert not (state_folder() / f"{bystander.pid}.json").exists()
        bystander.kill()


@pytest.mark.parametrize("content", ["", "{", "[]", json.dumps({"board": "x"}), "null"])
def test_a_damaged_record_is_removed(content: str) -> None:
    path = state_folder() / "1.json"
    path.write_text(content)
    assert running() == []
    assert not path.exists()


def test_a_machine_that_does_not_start_is_told_in_one_line(image: Image) -> None:
    assert BOARD.emulator is not None
    broken = dataclasses.replace(BOARD, emulator=dataclasses.replace(BOARD.emulator, machine="toaster"))
    with pytest.raises(TinyguardError, match=r"qemu does not start mps2-an385: .+") as error:
        flash(image, broken)
    assert "\n" not in str(error.value)
    missing = dataclasses.replace(image, elf=image.elf.parent / "none.elf")
    with pytest.raises(TinyguardError, match=r"qemu does not start mps2-an385: .*none\.elf"):
        flash(missing, BOARD)
    assert running() == []


def test_a_missing_qemu_is_told(image: Image, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TinyguardError, match="qemu-system-arm is not installed; type: sudo apt-get install"):
        flash(image, BOARD)
