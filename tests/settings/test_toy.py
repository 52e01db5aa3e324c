# SPDX-License-Identifier: Apache-2.0
"""A setting of a test's own layer goes all the way: reference, simulator, compiled C, library and board."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.device.host_board import HostBoard, compile_network_board
from tests.settings.toy import ELEMENTS, registered, toy_graph
from tinyguard.backends.compiled import CompiledBackend
from tinyguard.backends.device import DeviceBackend, agreed
from tinyguard.backends.reference import ReferenceBackend
from tinyguard.codegen import plan
from tinyguard.codegen.library import generate_library
from tinyguard.device.client import Device
from tinyguard.evaluation.traces import trace_device, trace_host
from tinyguard.graph import Graph, with_settings
from tinyguard.operators import Unsupported, resolve
from tinyguard.operators.base import Operator
from tinyguard.simulator.network import Simulator
from tinyguard.toolchain import host_compiler

OTHERS = {"level": 20, "whole": 0, "budget": 33, "weights": (-9, 9, 0)}
CODES = np.random.default_rng(1).integers(-128, 128, (30, ELEMENTS), dtype=np.int8)


@pytest.fixture(scope="module")
def graph() -> Iterator[Graph]:
    with registered():
        yield toy_graph()


@pytest.fixture(scope="module")
def board_binary(graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The generated C of the toy network with the runtime, for this machine."""
    return compile_network_board(graph, tmp_path_factory.mktemp("toy"))


def _equal(found: tuple[np.ndarray, ...], expected: tuple[np.ndarray, ...]) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("values", [{}, OTHERS, {"whole": 1}, {"budget": 2**33}, {"budget": 0}])
def test_every_back_end_follows_the_graph(graph: Graph, values: dict, board_binary: Path) -> None:
    used = with_settings(graph, values)
    expected = ReferenceBackend(used).run(CODES)
    assert (expected[1] == resolve(used)[0].used).all()
    _equal(Simulator(used).run(CODES), expected)
    _equal(Simulator(graph).under(values).run(CODES), expected)
    _equal(CompiledBackend(used, sanitize=True).run(CODES), expected)
    with HostBoard(board_binary) as board:
        backend = DeviceBackend(board.port, used)
        _equal(backend.run(CODES), expected)
        flashed, tensors = trace_device(backend.device, used, (CODES[:1],))
        backend.close()
    host = trace_host("reference", Path(), flashed, (CODES[:1],))
    for index, found in tensors.items():
        np.testing.assert_array_equal(found, host[index])


def test_a_value_that_somebody_gave_outlives_a_back_end(graph: Graph, board_binary: Path) -> None:
    with HostBoard(board_binary) as board:
        with Device(board.port) as first:
            first.connect()
            first.declare(graph.settings)
            first.set({"level": 5})
        backend = DeviceBackend(board.port, graph)
        _equal(backend.run(CODES[:2]), ReferenceBackend(graph).run(CODES[:2]))
        backend.close()
        backend.close()
        with Device(board.port) as last:
            last.connect()
            last.declare(graph.settings)
            assert last.tell("level").value == (5,)


def test_the_host_runs_with_what_is_in_force_on_the_board(graph: Graph, board_binary: Path) -> None:
    with HostBoard(board_binary) as board:
        with Device(board.port) as first:
            first.connect()
            first.declare(graph.settings)
            first.set(OTHERS)
        with Device(board.port) as second:
            second.connect()
            used, _ = agreed(second, graph, {"level": 1})
            assert {s.name: s.value for s in used.settings} == {
                "level": (1,),
                "whole": (0,),
                "budget": (33,),
                "weights": (-9, 9, 0),
            }
            _equal(second.run(CODES).outputs, ReferenceBackend(used).run(CODES))


def test_the_area_lies_behind_everything_else(graph: Graph) -> None:
    bare = plan(replace(graph, settings=()), resolve(graph))
    whole = plan(graph, resolve(graph))
    assert whole.setting_offset == {
        "level": bare.arena_bytes,
        "whole": bare.arena_bytes + 4,
        "budget": bare.arena_bytes + 8,
        "weights": bare.arena_bytes + 16,
    }
    assert whole.arena_bytes == bare.arena_bytes + 32
    assert replace(whole, setting_offset={}, arena_bytes=bare.arena_bytes) == bare


def test_a_layer_that_reads_what_nobody_declares_is_named(graph: Graph) -> None:
    class Other(Operator):
        reads = ("volume",)

        def prepare(self) -> None: ...

        def run(self, *inputs):
            raise AssertionError

        def emit(self, c):
            raise AssertionError

    with pytest.raises(Unsupported, match="reads the setting 'volume', which the network does not declare"):
        Other(graph, graph.nodes[0])


_PROGRAM = """
#include <stdio.h>
#include <string.h>
#include "tg_model.h"

#define CHECK(condition) if (!(condition)) { printf("%s\\n", #condition); return 1; }

int main(void)
{
    uint32_t words[3] = {0, 0, 0};
    uint32_t level = (uint32_t)-20;

    tg_model_init();
    CHECK(TG_MODEL_SETTINGS == 4);
    CHECK(TG_MODEL_SETTING_WEIGHTS == 3 && TG_MODEL_SETTING_WEIGHTS_WORDS == 3);
    CHECK(TG_MODEL_SETTING_BUDGET_WORDS == 2);
    CHECK(tg_model_get(TG_MODEL_SETTING_LEVEL, words, 1) && (int32_t)words[0] == -3);
    CHECK(tg_model_set(TG_MODEL_SETTING_LEVEL, &level, 1));
    CHECK(tg_model_get(TG_MODEL_SETTING_LEVEL, words, 1) && (int32_t)words[0] == -20);
    level = (uint32_t)-21;
    CHECK(!tg_model_set(TG_MODEL_SETTING_LEVEL, &level, 1));
    CHECK(!tg_model_set(TG_MODEL_SETTING_LEVEL, &level, 2));
    CHECK(!tg_model_set(4, &level, 1) && !tg_model_get(4, words, 1) && !tg_model_get(0, words, 2));
    const uint32_t weights[3] = {9, 9, 10};
    CHECK(!tg_model_set(TG_MODEL_SETTING_WEIGHTS, weights, 3));
    CHECK(tg_model_get(TG_MODEL_SETTING_WEIGHTS, words, 3) && (int32_t)words[1] == -6);
    CHECK(tg_model_get(TG_MODEL_SETTING_LEVEL, words, 1) && (int32_t)words[0] == -20);
    tg_model_seed(1, 2);
    memset(tg_model_input(0), 0, TG_MODEL_INPUT_0_BYTES);
    tg_model_invoke();
    CHECK(*(const int8_t *)tg_model_output(0) == -20 + 5);
    tg_model_init();
    CHECK(tg_model_get(TG_MODEL_SETTING_LEVEL, words, 1) && (int32_t)words[0] == -3);
    return 0;
}
"""


def test_the_library_sets_and_tells(graph: Graph, tmp_path: Path) -> None:
    folder = tmp_path / "library"
    generate_library(graph, folder)
    (folder / "main.c").write_text(_PROGRAM)
    strict = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-fsanitize=address,undefined"]
    command = [host_compiler(), *strict, "-DTG_LIBRARY", "-I.", "-Iinclude", "-Ikernels", "-o", "program"]
    subprocess.run([*command, "main.c", "model.c", "weights.c", "tg_model.c"], cwd=folder, check=True)
    done = subprocess.run(["./program"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
