# SPDX-License-Identifier: Apache-2.0
"""The library of a network with exits: with the policy, stage by stage, and the policy set by a firmware."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.codegen.networks import chain
from tests.exits.networks import CLASSES, POLICIES, codes, exits_file, outputs_under
from tinyguard.backends.reference import ReferenceBackend
from tinyguard.boards import load
from tinyguard.codegen import generate, generate_library
from tinyguard.codegen.library_names import renamed
from tinyguard.exits.measured import measure
from tinyguard.graph import Graph, with_settings
from tinyguard.graph.exit_policy import KINDS, Policy
from tinyguard.operators.exit_gate import NOTHING
from tinyguard.tflite import read_graph
from tinyguard.toolchain import host_compiler

STRICT = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wconversion"]
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
X = codes(30)

# A policy and its thresholds, then a sample each: all outputs after invoke, and for each stage what next
# returned, the decision, and the scores of its exit.
PROGRAM = """
#include <stdio.h>
#include <string.h>
#include "tg_model.h"

_Static_assert(TG_MODEL_STAGES == 3 && TG_MODEL_OUTPUTS == 5, "three exits");

static void put(uint32_t output, size_t bytes)
{
    fwrite(tg_model_output(output), bytes, 1, stdout);
}

int main(void)
{
    uint8_t sample[TG_MODEL_INPUT_0_BYTES];
    uint32_t request[3];
    uint32_t policy[3];

    tg_model_init();
    if (fread(request, sizeof(request), 1, stdin) != 1 || fread(policy, sizeof(policy), 1, stdin) != 1 ||
        !tg_model_set(request[0], policy + 1, request[1]) ||
        !tg_model_set(TG_MODEL_SETTING_EXIT_POLICY, policy, TG_MODEL_SETTING_EXIT_POLICY_WORDS)) {
        return 1;
    }
    while (fread(sample, sizeof(sample), 1, stdin) == 1) {
        memcpy(tg_model_input(0), sample, sizeof(sample));
        tg_model_invoke();
        put(0, TG_MODEL_OUTPUT_0_BYTES);
        put(1, TG_MODEL_OUTPUT_1_BYTES);
        put(2, TG_MODEL_OUTPUT_2_BYTES);
        put(3, TG_MODEL_OUTPUT_3_BYTES);
        put(4, TG_MODEL_OUTPUT_4_BYTES);

        memcpy(tg_model_input(0), sample, sizeof(sample));
        tg_model_begin();
        uint32_t stage = 0;
        int32_t more = 1;
        while (more) {
            more = tg_model_next();
            stage++;
            fwrite(&more, sizeof(more), 1, stdout);
            fwrite(tg_model_decision(), sizeof(int32_t), 4, stdout);
            put(1 + stage, TG_MODEL_OUTPUT_2_BYTES);
        }
        put(0, TG_MODEL_OUTPUT_0_BYTES);
    }
    return 0;
}
"""

# What is refused changes nothing, and an inference that is given up leaves no trace in the next.
REFUSALS = """
#include <stdio.h>
#include <string.h>
#include "tg_model.h"

#define CHECK(condition) if (!(condition)) { printf("%s\\n", #condition); return 1; }

int main(void)
{
    const uint32_t kind = TG_MODEL_EXIT_PATIENCE + 1, wrong[3] = {10, 257, 5}, right[2] = {10, 20};
    uint32_t words[2] = {0, 0};

    tg_model_init();
    CHECK(TG_MODEL_EXIT_NEVER == 0 && TG_MODEL_EXIT_CONFIDENCE == 1 && TG_MODEL_EXIT_MARGIN == 2);
    CHECK(TG_MODEL_EXIT_ENTROPY == 3 && TG_MODEL_EXIT_PATIENCE == 4);
    CHECK(!tg_model_set(TG_MODEL_SETTING_EXIT_POLICY, &kind, 1));
    CHECK(!tg_model_set(TG_MODEL_SETTING_EXIT_CONFIDENCE, wrong, 2));
    CHECK(!tg_model_set(TG_MODEL_SETTING_EXIT_CONFIDENCE, right, 1));
    CHECK(!tg_model_set(TG_MODEL_SETTING_EXIT_CONFIDENCE, wrong, 3));
    CHECK(!tg_model_set(TG_MODEL_SETTING_EXIT_PATIENCE, words, 1));
    CHECK(tg_model_get(TG_MODEL_SETTING_EXIT_POLICY, words, 1) && words[0] == TG_MODEL_EXIT_CONFIDENCE);
    CHECK(tg_model_get(TG_MODEL_SETTING_EXIT_CONFIDENCE, words, 2) && words[0] == 90 && words[1] == 80);
    CHECK(tg_model_set(TG_MODEL_SETTING_EXIT_CONFIDENCE, right, 2));
    CHECK(tg_model_get(TG_MODEL_SETTING_EXIT_CONFIDENCE, words, 2) && words[0] == 10 && words[1] == 20);

    const uint32_t never = TG_MODEL_EXIT_NEVER;
    CHECK(tg_model_set(TG_MODEL_SETTING_EXIT_POLICY, &never, 1));
    memset(tg_model_input(0), 1, TG_MODEL_INPUT_0_BYTES);
    tg_model_begin();
    CHECK(tg_model_next() == 1 && tg_model_decision()[0] == 0);
    memset(tg_model_input(0), 1, TG_MODEL_INPUT_0_BYTES);
    tg_model_begin();
    CHECK(tg_model_next() == 1 && tg_model_next() == 1 && tg_model_decision()[0] == 0);
    CHECK(tg_model_next() == 0 && tg_model_decision()[0] == 3);
    memset(tg_model_input(0), 1, TG_MODEL_INPUT_0_BYTES);
    tg_model_invoke();
    CHECK(tg_model_decision()[0] == 3 && tg_model_decision() == tg_model_output(1));

    tg_model_init();
    CHECK(tg_model_get(TG_MODEL_SETTING_EXIT_CONFIDENCE, words, 2) && words[0] == 90 && words[1] == 80);
    CHECK(tg_model_get(TG_MODEL_SETTING_EXIT_POLICY, words, 1) && words[0] == TG_MODEL_EXIT_CONFIDENCE);
    return 0;
}
"""

WITHOUT_EXITS = """
#include <stdio.h>
#include <string.h>
#include "tg_model.h"

_Static_assert(TG_MODEL_STAGES == 1, "no exits");

int main(void)
{
    uint8_t sample[TG_MODEL_INPUT_0_BYTES];

    tg_model_init();
    while (fread(sample, sizeof(sample), 1, stdin) == 1) {
        memcpy(tg_model_input(0), sample, sizeof(sample));
        tg_model_begin();
        if (tg_model_next() != 0 || tg_model_decision() != 0) {
            return 1;
        }
        fwrite(tg_model_output(0), TG_MODEL_OUTPUT_0_BYTES, 1, stdout);
    }
    return 0;
}
"""


@pytest.fixture(scope="module")
def graph() -> Graph:
    return read_graph(exits_file())


def _library(graph: Graph, folder: Path, prefix: str | None = None) -> Path:
    generate_library(graph, folder, prefix=prefix)
    return folder


def _program(folder: Path, program: str, prefix: str | None = None) -> Path:
    """A program with the library, sanitized; default names in it become those of the prefix."""
    (folder / "main.c").write_text(renamed(program, prefix))
    sources = ["main.c", "model.c", "weights.c", renamed("tg_model.c", prefix)]
    includes = ["-DTG_LIBRARY", "-I.", "-Iinclude", "-Ikernels"]
    subprocess.run(
        [host_compiler(), "-O1", *STRICT, *SANITIZE, *includes, *sources, "-o", "program"],
        cwd=folder,
        check=True,
    )
    return folder / "program"


def _run(program: Path, sent: bytes = b"") -> bytes:
    done = subprocess.run([program], input=sent, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _asked(policy: Policy) -> bytes:
    """What PROGRAM reads first: a setting and how many words it has, then the kind and the thresholds."""
    place = max(KINDS.index(policy.kind), 1)
    thresholds = (*policy.thresholds, 0, 0)[:2]
    words = len(policy.thresholds) or 2
    return np.array([place, words, 0, KINDS.index(policy.kind), *thresholds], "<i4").tobytes()


@pytest.mark.parametrize("prefix", [None, "gated"])
def test_invoke_and_next_answer_by_the_policy(prefix: str | None, graph: Graph, tmp_path: Path) -> None:
    program = _program(_library(graph, tmp_path / "library", prefix), PROGRAM, prefix)
    measured = measure(graph, X)
    for policy in POLICIES:
        said = _run(program, _asked(policy) + X.tobytes())
        answers = outputs_under(measured, policy)
        for row, taken in enumerate(measured.taken(policy)):
            outputs = b"".join(output[row].tobytes() for output in answers)
            expected = outputs
            for stage in range(int(taken) + 1):
                last = stage == taken
                decision = answers[1][row] if last else np.zeros(4, np.int32)
                expected += np.int32(not last).tobytes() + decision.tobytes()
                expected += measured.scores[row, stage].tobytes()
            expected += answers[0][row].tobytes()
            assert said[: len(expected)] == expected, (policy, row)
            said = said[len(expected) :]
        assert not said


def test_the_mean_of_the_exits_passed_is_answered(tmp_path: Path) -> None:
    graph = read_graph(exits_file(answer="mean"))
    program = _program(_library(graph, tmp_path / "library"), PROGRAM)
    policy = POLICIES[1]
    expected = ReferenceBackend(with_settings(graph, policy.values())).run(X)
    said, size = _run(program, _asked(policy) + X.tobytes()), sum(y[0].nbytes for y in expected)
    for row in range(len(X)):
        assert said[:size] == b"".join(output[row].tobytes() for output in expected)
        said = said[size + int(expected[1][row].ravel()[0]) * (4 + 16 + CLASSES) + CLASSES :]
    assert not said
    assert NOTHING in expected[4]


def test_what_is_refused_changes_nothing(graph: Graph, tmp_path: Path) -> None:
    _run(_program(_library(graph, tmp_path / "library"), REFUSALS))


def test_a_network_without_exits_is_one_stage(tmp_path: Path) -> None:
    graph = chain(channels=(3,))
    tensor = graph.tensors[graph.inputs[0]]
    x = np.random.default_rng(1).integers(-128, 128, (10, *tensor.shape[1:])).astype(np.int8)
    program = _program(_library(graph, tmp_path / "library"), WITHOUT_EXITS)
    assert _run(program, x.tobytes()) == ReferenceBackend(graph).run(x)[0].tobytes()


@pytest.mark.parametrize("prefix", [None, "gated"])
def test_the_readme_s_words_about_exits_compile(prefix: str | None, graph: Graph, tmp_path: Path) -> None:
    folder = _library(graph, tmp_path / "library", prefix)
    text = (folder / "README.md").read_text()
    assert "first of 3 exits that is sure enough. The file's policy is confidence 90,80." in text
    assert re.findall(r"^\| exit (\d) \| (\d+ to \d+) \|", text, re.M) == [
        ("1", "0 to 3"),
        ("2", "4 to 7"),
        ("3", "8 to 11"),
    ]
    example = re.findall(r"^```c\n(.*?)^```$", text, re.M | re.S)[1]
    main = (
        '#include <string.h>\n#include "tg_model.h"\nstatic int time_is_left(void) { return 0; }\n'
        "int main(void)\n{\nconst uint32_t never = TG_MODEL_EXIT_NEVER;\ntg_model_init();\n"
        "tg_model_set(TG_MODEL_SETTING_EXIT_POLICY, &never, 1);\n"
        "memset(tg_model_input(0), 1, TG_MODEL_INPUT_0_BYTES);\n"
    )
    end = "return scores != tg_model_output(2) || stages != 1;\n}\n"
    _run(_program(folder, main + example + end, prefix))


def test_the_readme_of_a_firmware_names_exits_where_there_are_any(graph: Graph, tmp_path: Path) -> None:
    generate(graph, load("mps2-an386"), tmp_path / "exits")
    generate(chain(channels=(3,)), load("mps2-an386"), tmp_path / "plain")
    assert "answers at the first of 3 exits" in (tmp_path / "exits" / "README.md").read_text()
    assert "#define TG_STAGES 1" in (tmp_path / "exits" / "board.h").read_text()
    assert "exit" not in (tmp_path / "plain" / "README.md").read_text()
    assert "TG_STAGES" not in (tmp_path / "plain" / "board.h").read_text()
