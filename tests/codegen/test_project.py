# SPDX-License-Identifier: Apache-2.0
"""Generated projects: sizes as predicted, the same image from anywhere, usable in other firmware."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.codegen.networks import chain
from tests.emulated.conftest import SHARED
from tinyguard.backends.reference import ReferenceBackend
from tinyguard.boards import load, names
from tinyguard.codegen import build_image, generate_library, predict
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph, Tensor
from tinyguard.tflite import read_graph
from tinyguard.toolchain import check_fit

MODELS = Path(__file__).parents[2] / "models"
NETWORKS = [*MODELS.glob("*/*.tflite"), *(SHARED / "models").glob("*.tflite")]
needs_cross_compiler = pytest.mark.skipif(
    shutil.which("arm-none-eabi-gcc") is None, reason="arm-none-eabi-gcc is not installed"
)


@needs_cross_compiler
@pytest.mark.parametrize("name", names())
def test_predicted_sizes_equal_the_linked_sections(name, tmp_path):
    graph, board = chain(), load(name)
    sizes = predict(graph, board)
    image = build_image(graph, board, tmp_path / "project")
    assert image.sections[".tg_constants"] == sizes.constant_bytes
    assert image.sections[".tg_arena"] == sizes.arena_bytes
    assert image.sections[".tg_link"] == sizes.link_bytes
    assert image.ram_bytes == sizes.ram_bytes


@needs_cross_compiler
@pytest.mark.parametrize("board", ["mps2-an385", "mps2-an500", "mps3-an547"])
@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_predicted_sizes_hold_for_whole_networks(path, board, tmp_path):
    graph = read_graph(path)
    sizes = predict(graph, load(board))
    image = build_image(graph, load(board), tmp_path / "project")
    assert image.sections[".tg_constants"] == sizes.constant_bytes
    assert image.sections[".tg_arena"] == sizes.arena_bytes
    assert image.ram_bytes == sizes.ram_bytes


@needs_cross_compiler
def test_the_image_does_not_depend_on_the_folder(tmp_path):
    board = load("mps2-an500")
    first = build_image(chain(), board, tmp_path / "a")
    second = build_image(chain(), board, tmp_path / "somewhere" / "else" / "b")
    assert first.sha256 == second.sha256
    assert first.sha256 != build_image(chain(seed=1), board, tmp_path / "c").sha256


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(TinyguardError, match="not a generated project"):
        generate_library(chain(), tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_what_does_not_fit_is_refused_with_both_figures():
    board = load("microbit")
    with pytest.raises(TinyguardError, match=r"ram needs 102,\d+ bytes, 16,384 there"):
        check_fit(board, 1000, 100_000 + 2048)


def test_hostile_names_stay_inside_their_comments(tmp_path):
    graph = chain(channels=(3,))
    evil = [_renamed(t, "*/ int main(void) { return 666; } /* \\\n ??/") for t in graph.tensors]
    _library_agrees(Graph(tuple(evil), graph.nodes, graph.inputs, graph.outputs), tmp_path)


def _renamed(tensor: Tensor, name: str) -> Tensor:
    return Tensor(tensor.index, name, tensor.shape, tensor.dtype, tensor.quantization, tensor.data)


def test_the_library_answers_as_the_reference(tmp_path):
    _library_agrees(chain(), tmp_path)


def _library_agrees(graph: Graph, folder) -> None:
    """Build libtg_model.a with its Makefile, wrap it for ctypes and compare with the reference."""
    generate_library(graph, folder / "library")
    subprocess.run(["make", "-s", "-C", folder / "library", "CORE=-fPIC"], check=True)
    shared = folder / "library.so"
    archive = folder / "library" / "libtg_model.a"
    whole = ["-Wl,--whole-archive", archive, "-Wl,--no-whole-archive"]
    subprocess.run(["gcc", "-shared", "-o", shared, *whole], check=True)
    library = ctypes.CDLL(str(shared))
    library.tg_model_input.restype = library.tg_model_output.restype = ctypes.c_void_p
    library.tg_model_init()

    rng = np.random.default_rng(0)
    codes = rng.integers(-128, 128, (3, *graph.tensors[graph.inputs[0]].shape[1:])).astype(np.int8)
    (expected,) = ReferenceBackend(graph).run(codes)
    for sample, row in zip(codes, expected, strict=True):
        ctypes.memmove(library.tg_model_input(0), sample.tobytes(), sample.nbytes)
        library.tg_model_invoke()
        answer = ctypes.string_at(library.tg_model_output(0), row.nbytes)
        assert answer == row.tobytes()
    assert library.tg_model_input(1) is None


@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not installed")
def test_the_library_builds_with_cmake(tmp_path):
    generate_library(chain(channels=(3,)), tmp_path / "library")
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.13)\nproject(app C)\nadd_subdirectory(library)\n"
        "add_executable(app main.c)\ntarget_link_libraries(app tg_model)\n"
    )
    (tmp_path / "main.c").write_text(
        '#include "tg_model.h"\n'
        "int main(void) { tg_model_init(); tg_model_invoke(); return tg_model_output(0) == 0; }\n"
    )
    subprocess.run(["cmake", "-S", tmp_path, "-B", tmp_path / "build"], check=True, capture_output=True)
    subprocess.run(["cmake", "--build", tmp_path / "build"], check=True, capture_output=True)
    assert subprocess.run([tmp_path / "build" / "app"], check=False).returncode == 0
