# SPDX-License-Identifier: Apache-2.0
"""The commands boards, ports, stop and doctor."""

import importlib.metadata
import json
import shutil

import pytest
from click.testing import CliRunner

from tinyguard.boards import names
from tinyguard.cli import group
from tinyguard.errors import TinyguardError
from tinyguard.toolchain import installed


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(group, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_boards_lists_every_board() -> None:
    listed = json.loads(_run("boards", "--json"))
    assert [board["name"] for board in listed] == names()
    text = _run("boards")
    assert all(name in text for name in names())


def test_boards_shows_one() -> None:
    one = json.loads(_run("boards", "nucleo-f746", "--json"))
    assert one["runners"] == ["openocd", "stlink", "cubeprogrammer", "pyocd"]
    assert "1,024 KiB" in _run("boards", "nucleo-f746")
    with pytest.raises(TinyguardError, match="no board named 'nucleo'"):
        _run("boards", "nucleo")


def test_nothing_runs_and_nothing_stops() -> None:
    assert json.loads(_run("boards", "--running", "--json")) == []
    assert json.loads(_run("stop", "--all", "--json")) == []
    with pytest.raises(TinyguardError, match="no emulated board runs at /dev/pts/999"):
        _run("stop", "/dev/pts/999")
    with pytest.raises(TinyguardError, match="no emulated board runs; nothing to stop"):
        _run("stop")


def test_ports_is_json() -> None:
    assert isinstance(json.loads(_run("ports", "--json")), list)


def test_doctor_names_what_is_there() -> None:
    report = json.loads(_run("doctor", "--json"))
    numpy = next(package for package in report["packages"] if package["name"] == "numpy")
    assert numpy["version"] == importlib.metadata.version("numpy")
    assert {tool["name"] for tool in report["tools"]} >= {"arm-none-eabi-gcc", "qemu-system-arm", "openocd"}
    assert "click" in _run("doctor")


def test_doctor_says_what_to_type_for_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str | None:
        return None if name == "onnx2tf" else "1.0"

    monkeypatch.setattr(
        shutil, "which", lambda name: None if name in ("openocd", "gcc", "pyocd") else "/bin/true"
    )
    monkeypatch.setattr(installed, "_package_version", version)
    assert installed.install_commands() == [
        "sudo apt-get install gcc libc6-dev openocd",
        "pip install 'tinyguard[onnx]'",
    ]
    assert "sudo apt-get install gcc libc6-dev openocd" in _run("doctor")
    assert "pip install 'tinyguard[onnx]'" in _run("doctor")
