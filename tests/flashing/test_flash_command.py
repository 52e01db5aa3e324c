# SPDX-License-Identifier: Apache-2.0
"""`tinyguard flash` from the network to the board."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tinyguard.boards import link_bytes, load
from tinyguard.cli import group
from tinyguard.errors import TinyguardError
from tinyguard.flashing import running

pytestmark = pytest.mark.emulator
DIGITS = Path(__file__).parents[2] / "models" / "digits" / "model.tflite"


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(group, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_dry_run_prints_command_size_and_address() -> None:
    arguments = ("flash", str(DIGITS), "--board", "nucleo-f746", "--dry-run")
    plan = json.loads(_run(*arguments, "--json"))
    image = Path(plan["image"])
    assert plan["command"] == (
        f"openocd -f board/st_nucleo_f7.cfg -c 'program {{{image}}} 0x08000000 verify reset exit'"
    )
    assert (plan["address"], plan["flash_bytes"]) == (0x0800_0000, image.stat().st_size)
    text = _run(*arguments)
    assert text.startswith(plan["command"] + "\n")
    assert f"flash {plan['flash_bytes']:,} bytes at 0x08000000" in text
    assert plan["sha256"] in text


def test_an_emulated_board_is_started_and_stopped() -> None:
    result = json.loads(_run("flash", str(DIGITS), "--board", "mps2-an385", "--json"))
    assert list(result) == ["board", "runner", "port", "image", "flash_bytes", "ram_bytes", "sha256", "pid"]
    assert [one.pid for one in running()] == [result["pid"]]
    assert result["ram_bytes"] > link_bytes(load("mps2-an385"))
    assert result["port"] in _run("boards", "--running")
    assert result["port"] in _run("ports")
    assert f"stopped mps2-an385 at {result['port']}" in _run("stop", result["port"])


def test_mistakes_are_refused_before_anything_is_built(tmp_path: Path) -> None:
    for board, runner, told in [
        ("mps2-an38", "emulator", "did you mean"),
        ("mps2-an385", "openocd", "has no runner 'openocd'"),
    ]:
        with pytest.raises(TinyguardError, match=told):
            _run("flash", str(DIGITS), "--board", board, "--runner", runner)
    assert list(tmp_path.iterdir()) == []
