# SPDX-License-Identifier: Apache-2.0
"""The architecture: which room may import which, and what no room may do. `tests/rooms.py` has the checks."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rooms import (
    Permission,
    Problem,
    Sources,
    circles,
    defense_operators,
    named_defenses,
    private,
    repeated,
    room_of,
    sources_of,
    torch_imports,
    upward,
)
from tinyguard.operators import registry

ROOT = Path(__file__).parents[1]
SOURCES = sources_of(ROOT)

# Top to bottom: a room imports from itself and from those after it. README has the same line.
ORDER = (
    "cli",
    "tinyguard",
    "api",
    "campaigns",
    "report",
    "robustness",
    "evaluation",
    "training",
    "attacks",
    "quantize",
    "exits",
    "defenses",
    "sources",
    "backends",
    "simulator",
    "native",
    "measure",
    "flashing",
    "codegen",
    "toolchain",
    "boards",
    "device",
    "data",
    "kernels",
    "passes",
    "tflite",
    "operators",
    "arithmetic",
    "graph",
    "plugins",
    "license",
    "files",
    "quiet",
    "paths",
    "errors",
    "version",
)

# What a machine runs that only builds, flashes and talks to boards.
WITHOUT_TORCH = ORDER[ORDER.index("native") + 1 :]
TORCH_FOR_TYPES = ("tinyguard.operators.base",)

KNOW_DEFENSES = ("defenses", "tflite", "operators", "kernels", "simulator", "native")

# Files of one name are one operator, one family of operators or one section of the record in FORMS, or a
# command beside what it calls. A name that is no longer in two places goes.
FORMS = ("operators", "kernels", "simulator", "native", "tflite.record")
PERMITTED = {
    "accumulating": Permission(FORMS, "operators that sum products: what they share; in torch"),
    "add": Permission(FORMS, "ADD and SUB: their arithmetic; in torch"),
    "bench": Permission(("cli", "measure"), "the command; what it measures with"),
    "boards": Permission(("cli", "boards"), "the command; the boards that it lists"),
    "build": Permission(("cli", "toolchain"), "the command; the make that it runs last"),
    "conv_2d": Permission(FORMS, "CONV_2D: its arithmetic; its C for DSP cores"),
    "convolution": Permission(FORMS, "convolutions: calls of CMSIS-NN; C for MVE; C for x86"),
    "depthwise": Permission(FORMS, "DEPTHWISE_CONV_2D: its C for DSP cores; for MVE"),
    "depthwise_conv_2d": Permission(FORMS, "DEPTHWISE_CONV_2D: its arithmetic; in torch"),
    "device": Permission(("backends", "device"), "the board as a back end; the protocol that it calls"),
    "dropout": Permission(FORMS, "DROPOUT: its arithmetic; in torch"),
    "elementwise": Permission(FORMS, "operators of each element: what they share; C for DSP cores; for MVE"),
    "exit_gate": Permission(FORMS, "EXIT_GATE: its arithmetic; in torch"),
    "exits": Permission((*FORMS, "cli", "exits"), "the record's section; the command and its room"),
    "filter": Permission(FORMS, "input filters: what they share; in torch"),
    "filter_bit_depth": Permission(FORMS, "FILTER_BIT_DEPTH: its arithmetic; in torch"),
    "filter_dct": Permission(FORMS, "FILTER_DCT: its arithmetic; in torch"),
    "filter_total_variation": Permission(FORMS, "FILTER_TOTAL_VARIATION: its arithmetic; in torch"),
    "filters": Permission(FORMS, "the record's section of filters; C for DSP cores; C for x86"),
    "flash": Permission(("cli", "flashing"), "the command; what it calls"),
    "fully_connected": Permission(FORMS, "FULLY_CONNECTED: its arithmetic; its C for DSP cores; for MVE"),
    "monte_carlo": Permission(FORMS, "MONTE_CARLO_SUM and _MEAN: their arithmetic; in torch"),
    "moving": Permission(FORMS, "operators that move codes: what they share; in torch"),
    "pool_2d": Permission(FORMS, "pools: their arithmetic; in torch"),
    "pooling": Permission(FORMS, "pools and means: calls of CMSIS-NN; C for MVE"),
    "ports": Permission(("cli", "flashing"), "the command; what it calls"),
    "quantize": Permission((*FORMS, "cli", "quantize"), "the operator QUANTIZE; the command and its room"),
    "reduction": Permission(FORMS, "operators that reduce axes: what they share; in torch"),
    "resize": Permission(FORMS, "RESIZE_BILINEAR and _NEAREST_NEIGHBOR: their arithmetic; in torch"),
    "softmax": Permission(FORMS, "SOFTMAX: its arithmetic; a call of CMSIS-NN"),
    "squeeze_distance": Permission(FORMS, "SQUEEZE_DISTANCE: its arithmetic; in torch"),
    "transpose_conv": Permission(FORMS, "TRANSPOSE_CONV: its arithmetic; in torch"),
    "unary": Permission(FORMS, "operators on single codes: what they share; in torch"),
    "window_filter": Permission(FORMS, "filters of a window: what they share; in torch"),
}

Check = Callable[[Sources], list[Problem]]
CHECKS: dict[str, Check] = {
    "imports point one way": lambda sources: upward(sources, ORDER),
    "no circle of files": circles,
    "nothing private of another room": private,
    "one name, one thing": lambda sources: repeated(sources, PERMITTED),
    "no operator of a defense": lambda sources: named_defenses(sources, KNOW_DEFENSES),
    "no torch": lambda sources: torch_imports(sources, WITHOUT_TORCH, TORCH_FOR_TYPES),
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_the_package_keeps_to(check: Check) -> None:
    problems = check(SOURCES)
    assert not problems, "\n" + "\n".join(map(str, problems))


def test_readme_gives_the_order() -> None:
    line = re.search(r"Imports point one way: `([^`]*)`", (ROOT / "README.md").read_text())
    assert line is not None
    assert tuple(re.split(r"\s+->\s+", line[1])) == ORDER


def test_the_order_names_each_room_once() -> None:
    assert sorted(ORDER) == sorted({room_of(module) for module in SOURCES})


def test_operators_of_defenses_are_those_that_no_file_holds() -> None:
    found = {name for names in defense_operators(SOURCES).values() for name in names}
    assert found == {name for name, kind in registry().items() if not kind.in_file}


# ---- seeded breaches -------------------------------------------------------------------------------------

HOUSE = {
    "tinyguard": "",
    "tinyguard.attacks": "",
    "tinyguard.attacks.pgd": "import torch\n\nfrom tinyguard.graph import Graph\n",
    "tinyguard.kernels": "",
    "tinyguard.kernels.dsp": "",
    "tinyguard.kernels.dsp.relu": "from tinyguard.operators import relu\n",
    "tinyguard.operators": "",
    "tinyguard.operators.base": (
        "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    import torch\n\n\n"
        "class Operator:\n    in_file: ClassVar[bool] = True\n"
    ),
    "tinyguard.operators.families": "",
    "tinyguard.operators.families.filter": "class Filter(Operator):\n    in_file: ClassVar = False\n",
    "tinyguard.operators.filter_mean": (
        "from tinyguard.operators.families.filter import Filter\n\n\n"
        'class MeanFilter(Filter):\n    names: ClassVar = ("FILTER_MEAN",)\n'
    ),
    "tinyguard.operators.relu": 'class Relu(Operator):\n    names: ClassVar = ("RELU",)\n',
    "tinyguard.graph": "from tinyguard.graph.graph import Graph\n",
    "tinyguard.graph._lists": "",
    "tinyguard.graph.graph": "from tinyguard.graph import _lists\n",
}
HOUSE_PERMITTED = {"relu": Permission(FORMS, "RELU: its arithmetic; its C for DSP cores")}
HOUSE_CHECKS: dict[str, Check] = {
    **CHECKS,
    "one name, one thing": lambda sources: repeated(sources, HOUSE_PERMITTED),
}


def in_function(line: str) -> str:
    return f"def run():\n    {line}\n"


def for_types(line: str) -> str:
    return f"from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    {line}\n"


PGD, GRAPH, RELU = "tinyguard.attacks.pgd", "tinyguard.graph.graph", "tinyguard.operators.relu"
BREACHES = [
    ("imports point one way", GRAPH, "\nfrom tinyguard import operators\n", 2),
    ("imports point one way", GRAPH, "from tinyguard.operators import relu\n", 1),
    ("imports point one way", GRAPH, "from ..operators import relu\n", 1),
    ("imports point one way", RELU, in_function("from tinyguard.attacks.pgd import PGD"), 2),
    ("imports point one way", RELU, for_types("import tinyguard.attacks.pgd"), 4),
    ("imports point one way", RELU, in_function('import_module(f"tinyguard.attacks.{NAME}")'), 2),
    ("imports point one way", "tinyguard.helpers.text", "", 1),
    ("no circle of files", GRAPH, "\nfrom tinyguard.graph import Graph\n", 2),
    ("no circle of files", GRAPH, for_types("from tinyguard.graph import Graph"), 4),
    ("no circle of files", "tinyguard.graph._lists", in_function("from . import graph"), 2),
    ("nothing private of another room", PGD, "from tinyguard.graph import _lists\n", 1),
    ("nothing private of another room", PGD, in_function("from tinyguard.graph._lists import x"), 2),
    ("one name, one thing", "tinyguard.attacks.graph", "", 1),
    ("one name, one thing", "tinyguard.attacks.relu", "", 1),
    ("one name, one thing", "tinyguard.operators.pgd", "", 1),
    ("no operator of a defense", PGD, "from tinyguard.operators import filter_mean\n", 1),
    ("no operator of a defense", PGD, in_function("import tinyguard.operators.families.filter"), 2),
    ("no operator of a defense", PGD, 'KNOWN = 1\nLAYER = "FILTER_MEAN"\n', 2),
    ("no operator of a defense", GRAPH, 'x = name.startswith("FILTER_")\n', 1),
    ("no torch", RELU, in_function("import torch"), 2),
    ("no torch", GRAPH, "from torch.nn import functional\n", 1),
    ("no torch", "tinyguard.kernels.dsp.relu", for_types("import torch"), 4),
    ("no torch", "tinyguard.operators.base", "import torch\n", 1),
]


@pytest.mark.parametrize("name", HOUSE_CHECKS)
def test_a_house_without_a_breach_has_no_problem(name: str) -> None:
    assert HOUSE_CHECKS[name](HOUSE) == []


@pytest.mark.parametrize(("name", "module", "source", "line"), BREACHES)
def test_a_breach_is_found_in_its_line(name: str, module: str, source: str, line: int) -> None:
    (problem,) = HOUSE_CHECKS[name]({**HOUSE, module: source})
    if name == "no circle of files":  # it may begin at another of its files
        assert f"{module} (line {line})" in problem.text
    else:
        assert str(problem).startswith(f"{module}, line {line}: ")


def test_a_circle_of_three_files_is_told_whole() -> None:
    house = {
        "tinyguard.data.a": "import tinyguard.data.b",
        "tinyguard.data.b": "import numpy\nimport tinyguard.data.c",
        "tinyguard.data.c": "def f():\n    import tinyguard.data.a",
        "tinyguard.data.d": "import tinyguard.data.a",
    }
    (problem,) = circles(house)
    name = "tinyguard.data"
    assert f"{name}.a (line 1) -> {name}.b (line 2) -> {name}.c (line 2) -> {name}.a: " in problem.text


def test_a_permission_that_is_no_longer_needed_is_found() -> None:
    house = {module: source for module, source in HOUSE.items() if "kernels" not in module}
    (problem,) = repeated(house, HOUSE_PERMITTED)
    assert (problem.module, problem.line) == (RELU, 1)
    assert "take its permission out" in problem.text
