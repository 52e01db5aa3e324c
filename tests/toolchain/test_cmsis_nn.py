# SPDX-License-Identifier: Apache-2.0
"""Finding the user's CMSIS-NN, and refusing one that was compiled for something else."""

import contextlib
import shutil
import subprocess
from pathlib import Path

import pytest

from tinyguard.errors import TinyguardError
from tinyguard.toolchain.attributes import archive_attributes
from tinyguard.toolchain.cmsis_nn import find_cmsis_nn
from tinyguard.toolchain.cores import core_flags, cores

needs_cross_compiler = pytest.mark.skipif(
    shutil.which("arm-none-eabi-gcc") is None, reason="arm-none-eabi-gcc is not installed"
)


def _headers(root: Path) -> Path:
    (root / "Include").mkdir(parents=True)
    (root / "Include" / "arm_nnfunctions.h").write_text("")
    return root


def _library(root: Path, core: str, flags: tuple[str, ...]) -> Path:
    """DIR/CORE/libcmsis-nn.a with one object whose name is too long for ar's header."""
    folder = root / core
    folder.mkdir()
    source = folder / "a_name_of_more_than_sixteen_letters.c"
    source.write_text("float tg_half(float x) { return x / 2; }\n")
    item = source.with_suffix(".o")
    subprocess.run(["arm-none-eabi-gcc", *flags, "-c", source, "-o", item], check=True)
    archive = folder / "libcmsis-nn.a"
    subprocess.run(["arm-none-eabi-ar", "rcs", archive, item], check=True)
    return archive


@needs_cross_compiler
@pytest.mark.parametrize("core", cores())
def test_a_library_of_the_core_is_found(core: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = _headers(tmp_path / "cmsis")
    _library(root, core, core_flags(core))
    found = find_cmsis_nn(core, root)
    assert (found.root, found.archive) == (root, f"{core}/libcmsis-nn.a")
    monkeypatch.setenv("CMSIS_NN_ROOT", str(root))
    assert find_cmsis_nn(core) == found


@needs_cross_compiler
@pytest.mark.parametrize(
    ("core", "flags", "told"),
    [
        ("cortex-m7", ("-mcpu=cortex-m7", "-mthumb", "-mfloat-abi=soft"), "float ABI soft, not hard"),
        ("cortex-m7", core_flags("cortex-m3"), "compiled for ARMv7-M, not ARMv7E-M"),
        ("cortex-m7", core_flags("cortex-m55"), "compiled for ARMv8.1-M main, not ARMv7E-M"),
        ("cortex-m4", core_flags("cortex-m7"), "a newer floating-point unit"),
        ("cortex-m3", core_flags("cortex-m0"), "compiled for ARMv6-M, not ARMv7-M"),
        (
            "cortex-m55",
            ("-mcpu=cortex-m55+nomve", "-mthumb", "-mfloat-abi=hard"),
            "compiled without MVE",
        ),
        (
            "cortex-m33",
            ("-mcpu=cortex-m33+nodsp", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"),
            "compiled without the DSP extension",
        ),
    ],
)
def test_a_library_of_another_kind_is_refused(
    core: str, flags: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    root = _headers(tmp_path / "cmsis")
    _library(root, core, flags)
    with pytest.raises(TinyguardError, match=told) as refusal:
        find_cmsis_nn(core, root)
    assert "\n" not in str(refusal.value)
    assert f"build it with -mcpu={core}" in str(refusal.value)


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CMSIS_NN_ROOT", raising=False)
    with pytest.raises(TinyguardError, match="--cmsis-nn DIR or in CMSIS_NN_ROOT"):
        find_cmsis_nn("cortex-m7")
    with pytest.raises(TinyguardError, match="no CMSIS-NN headers in"):
        find_cmsis_nn("cortex-m7", tmp_path)
    root = _headers(tmp_path / "cmsis")
    with pytest.raises(
        TinyguardError, match=r"no CMSIS-NN for cortex-m7: put a library .* at .*libcmsis-nn\.a"
    ):
        find_cmsis_nn("cortex-m7", root)
    with pytest.raises(TinyguardError, match="make cannot take the path"):
        find_cmsis_nn("cortex-m7", tmp_path / "my folder")


@pytest.mark.parametrize("content", [b"", b"!<arch>\n", b"\x7fELF" + bytes(100), b"!<arch>\n" + bytes(80)])
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    root = _headers(tmp_path / "cmsis")
    (root / "cortex-m7").mkdir()
    (root / "cortex-m7" / "libcmsis-nn.a").write_bytes(content)
    with pytest.raises(TinyguardError, match="build it again"):
        find_cmsis_nn("cortex-m7", root)


@needs_cross_compiler
def test_attributes_are_those_that_readelf_shows(tmp_path: Path) -> None:
    archive = _library(tmp_path, "cortex-m55", core_flags("cortex-m55"))
    ((name, attributes),) = archive_attributes(archive)
    assert name == "a_name_of_more_than_sixteen_letters.o"
    assert attributes[5] == "cortex-m55"
    assert (attributes[6], attributes[10], attributes[28], attributes[48]) == (21, 8, 1, 2)


@needs_cross_compiler
def test_a_broken_library_is_never_a_traceback(tmp_path: Path) -> None:
    root = _headers(tmp_path / "cmsis")
    archive = _library(root, "cortex-m7", core_flags("cortex-m7"))
    whole = archive.read_bytes()
    for position in range(0, len(whole), 7):
        for broken in (whole[:position], whole[:position] + b"\xff" + whole[position + 1 :]):
            archive.write_bytes(broken)
            with contextlib.suppress(TinyguardError):
                find_cmsis_nn("cortex-m7", root)
