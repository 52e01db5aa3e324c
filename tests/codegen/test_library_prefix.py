# SPDX-License-Identifier: Apache-2.0
"""`build --as library --prefix`: two networks in one firmware, whose names never meet."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.codegen.networks import chain
from tinyguard.backends.reference import ReferenceBackend
from tinyguard.boards import load
from tinyguard.cli import group
from tinyguard.codegen import generate_library, target_of
from tinyguard.codegen.library_names import renamed
from tinyguard.data.network_codes import read_codes
from tinyguard.defenses.input_filters import with_filters
from tinyguard.defenses.monte_carlo_dropout import find_sites, with_stochastic
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph, with_settings
from tinyguard.operators import PORTABLE, Target
from tinyguard.tflite import read_graph
from tinyguard.tflite.record.filters import parse_filter
from tinyguard.tflite.record.stochastic import Stochastic
from tinyguard.toolchain import host_compiler

DIGITS = Path(__file__).parents[2] / "models" / "digits" / "model.tflite"
SEED = 0xFEDCBA9876543210
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wconversion"]
ARM = ["CROSS=arm-none-eabi-", "CORE=-mcpu=cortex-m4 -mthumb"]

# Both networks in turn on each sample of standard input; all outputs to standard output.
PROGRAM = """
#include <stdio.h>
#include <string.h>
#include "digits_model.h"
#include "shielded_model.h"

_Static_assert(DIGITS_MODEL_SETTINGS == 0 && SHIELDED_MODEL_SETTINGS == 1, "each has its own figures");
_Static_assert(DIGITS_MODEL_ARENA_BYTES < SHIELDED_MODEL_ARENA_BYTES, "each has its own figures");

int main(void)
{
    uint8_t codes[DIGITS_MODEL_INPUT_0_BYTES];

    digits_init();
    shielded_init();
    shielded_seed(0x76543210u, 0xfedcba98u);
    digits_seed(1, 1);
    while (fread(codes, sizeof(codes), 1, stdin) == 1) {
        memcpy(digits_input(0), codes, sizeof(codes));
        memcpy(shielded_input(0), codes, sizeof(codes));
        digits_invoke();
        shielded_invoke();
        fwrite(digits_output(0), DIGITS_MODEL_OUTPUT_0_BYTES, 1, stdout);
        fwrite(shielded_output(0), SHIELDED_MODEL_OUTPUT_0_BYTES, 1, stdout);
        fwrite(shielded_output(1), SHIELDED_MODEL_OUTPUT_1_BYTES, 1, stdout);
    }
    return digits_input(1) != 0 || shielded_set(1, 0, 0) != 0;
}
"""


@pytest.fixture(scope="module")
def graphs() -> dict[str, Graph]:
    filtered = with_filters(DIGITS.read_bytes(), [parse_filter("mean:2")])
    sites = find_sites(read_graph(filtered), ["auto"])
    shielded = read_graph(with_stochastic(filtered, Stochastic(sites, 26, 5, 1, 1024)))
    return {"digits": read_graph(DIGITS), "shielded": shielded}


def _libraries(graphs: dict[str, Graph], folder: Path, words: list[str], target: Target = PORTABLE) -> None:
    for name, graph in graphs.items():
        generate_library(graph, folder / name, target, name)
        subprocess.run(["make", "-s", "-C", folder / name, *words], check=True)


def test_two_networks_answer_exactly_in_one_program(graphs: dict[str, Graph], tmp_path: Path) -> None:
    _libraries(graphs, tmp_path, [f"CORE={' '.join(WARNINGS)}"])
    (tmp_path / "main.c").write_text(PROGRAM)
    folders = [word for name in graphs for word in (f"-I{tmp_path / name}", f"-L{tmp_path / name}")]
    command = [
        host_compiler(),
        "-std=c11",
        *WARNINGS,
        *folders,
        tmp_path / "main.c",
        "-ldigits",
        "-lshielded",
    ]
    subprocess.run([*command, "-o", tmp_path / "main"], check=True)

    codes, _ = read_codes(DIGITS, graphs["digits"], "digits:test", 20)
    (plain,) = ReferenceBackend(graphs["digits"]).run(codes)
    seeded = with_settings(graphs["shielded"], {"seed": SEED})
    answers = ReferenceBackend(seeded).run(codes)
    done = subprocess.run([tmp_path / "main"], input=codes.tobytes(), capture_output=True, check=True)
    rows = zip(plain, *answers, strict=True)
    assert done.stdout == b"".join(part.tobytes() for row in rows for part in row)
    other = ReferenceBackend(graphs["shielded"]).run(codes)
    assert not np.array_equal(other[0], answers[0]), "the seed that was set has to matter"


@pytest.mark.skipif(shutil.which("arm-none-eabi-gcc") is None, reason="arm-none-eabi-gcc is not installed")
@pytest.mark.parametrize("board", ["", "mps2-an386"])
def test_no_global_symbol_is_in_both(board: str, graphs: dict[str, Graph], tmp_path: Path) -> None:
    _libraries(graphs, tmp_path, ARM, target_of(load(board)) if board else PORTABLE)
    symbols = {name: _globals(tmp_path / name / f"lib{name}.a") for name in graphs}
    assert not symbols["digits"] & symbols["shielded"]
    for name, found in symbols.items():
        assert f"{name}_invoke" in found
        assert all(symbol.startswith(f"{name}_") for symbol in found), found


def _globals(archive: Path) -> set[str]:
    command = ["arm-none-eabi-nm", "--extern-only", "--defined-only", "--format=posix", str(archive)]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {line.split()[0] for line in listed.splitlines() if " " in line}


@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not installed")
def test_two_networks_build_with_cmake(graphs: dict[str, Graph], tmp_path: Path) -> None:
    for name, graph in graphs.items():
        generate_library(graph, tmp_path / name, prefix=name)
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.13)\nproject(app C)\nadd_subdirectory(digits)\n"
        "add_subdirectory(shielded)\nadd_executable(app main.c)\ntarget_link_libraries(app digits shielded)\n"
    )
    (tmp_path / "main.c").write_text(PROGRAM)
    subprocess.run(["cmake", "-S", tmp_path, "-B", tmp_path / "build"], check=True, capture_output=True)
    subprocess.run(["cmake", "--build", tmp_path / "build"], check=True, capture_output=True)
    subprocess.run([tmp_path / "build" / "app"], input=b"", check=True)


def test_without_a_prefix_the_names_are_tg_model(tmp_path: Path) -> None:
    generate_library(chain(channels=(3,)), tmp_path / "library")
    assert (tmp_path / "library" / "tg_model.h").is_file()
    text = (tmp_path / "library" / "tg_model.c").read_text()
    assert renamed(text, None) == text
    assert "tg_model" not in renamed(text, "digits")


@pytest.mark.parametrize(
    ("prefix", "why"),
    [
        ("9a", "begins no C name"),
        ("_a", "begins no C name"),
        ("a_", "begins no C name"),
        ("a__b", "begins no C name"),
        ("Digits", "begins no C name"),
        ("a-b", "begins no C name"),
        ("a/../b", "begins no C name"),
        ("é", "begins no C name"),
        ("a\n", "begins no C name"),
        ("", "begins no C name"),
        ("while", "is a keyword of C"),
        ("tg", "begins as tinyguard's own names do"),
        ("tg_layer", "begins as tinyguard's own names do"),
        ("m", "is the compiler's own library"),
        ("clean", "is a word of make or CMake"),
        ("a" * 41, "has 41 characters, 40 are possible"),
    ],
)
def test_a_prefix_that_c_cannot_take_is_refused_with_what_to_type(
    prefix: str, why: str, tmp_path: Path
) -> None:
    with pytest.raises(TinyguardError, match=f"{why}.*; type a name such as --prefix keywords$") as caught:
        generate_library(chain(channels=(3,)), tmp_path / "library", prefix=prefix)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "library").exists()


def test_the_command_says_what_to_include_and_link(tmp_path: Path) -> None:
    command = ["build", str(DIGITS), "--as", "library", "--prefix", "digits", "-o", str(tmp_path / "library")]
    done = CliRunner().invoke(group, command, catch_exceptions=False)
    assert done.exit_code == 0
    printed = " ".join(done.output.split())
    assert "include digits_model.h, link digits (CMake) or libdigits.a" in printed


def test_firmware_has_no_prefix(tmp_path: Path) -> None:
    command = ["build", str(DIGITS), "--board", "mps2-an386", "--prefix", "digits", "-o", str(tmp_path)]
    done = CliRunner().invoke(group, command)
    assert done.exit_code == 2
    assert "--prefix names a library; add --as library" in done.output
