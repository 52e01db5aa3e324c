# SPDX-License-Identifier: Apache-2.0
"""Every operator on random shapes, options and quantizations, in every runtime, in every byte.

NumPy (`Operator.run`) is compared with TF's reference kernels, TFLM, torch and the generated C on the
host. The operators are the files in tests/operators/cases. To run a single case:
TINYGUARD_CASE=17 pytest tests/operators -k "pad and int8"
"""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.operators import oracles
from tests.operators.builder import SCHEMES
from tests.operators.cases_of import Case, case_modules, drawn_cases, generator
from tests.operators.known_differences import Tally, known
from tinyguard.operators import operator_names, registry

QUICK, ALL = 20, 200
ONLY = os.environ.get("TINYGUARD_CASE")


def _parameters() -> list[Any]:
    return [
        pytest.param(
            name,
            scheme,
            numbers,
            id=f"{name}-{scheme}-{numbers.start}",
            marks=[*marks, pytest.mark.xdist_group(f"{name}-{numbers.start}")],
        )
        for name, module in case_modules().items()
        for scheme in getattr(module, "SCHEMES", SCHEMES)
        for numbers, marks in _ranges(name)
    ]


def _ranges(name: str) -> list[tuple[range, tuple[Any, ...]]]:
    """Case numbers: the quick ones, then as many that each operator of the file is drawn ALL times."""
    if ONLY:
        return [(range(int(ONLY), int(ONLY) + 1), ())]
    starts = range(ALL, total_cases(name), ALL)
    slow = [range(QUICK, ALL), *(range(start, min(start + ALL, total_cases(name))) for start in starts)]
    return [(range(QUICK), ()), *((numbers, (pytest.mark.slow,)) for numbers in slow)]


def total_cases(name: str) -> int:
    """ALL for a file of one operator; those that draw one of several need some to spare."""
    operators = sum(kind.__module__.endswith(f".{name}") for kind in registry().values())
    return ALL if operators == 1 else operators * ALL * 17 // 10


@pytest.mark.slow
def test_every_operator_is_drawn_often_enough() -> None:
    drawn: Counter[str] = Counter()
    for name, module in case_modules().items():
        for number in range(total_cases(name)):
            graph = module.case(generator(name, "int8", number), "int8")
            drawn.update({node.operator for node in graph.nodes})
    assert {name: drawn[name] for name in operator_names() if drawn[name] < ALL} == {}


every_operator = pytest.mark.parametrize(("name", "scheme", "numbers"), _parameters())


def check_against(
    cases: tuple[Case, ...], scheme: str, runtime: str, run: Callable[[Case], list[np.ndarray]]
) -> None:
    """Fail when a runtime differs from NumPy beyond what is known of it."""
    tallies: dict[tuple[str, ...], Tally] = {}
    first: dict[tuple[str, ...], str] = {}
    for case in cases:
        tally = tallies.setdefault(case.operators, Tally())
        try:
            actual = run(case)
        except oracles.Refusal as reason:
            tally.refusals.append(str(reason))
            first.setdefault(case.operators, f"{case.describe()}\n  {runtime} refused: {reason}")
            continue
        difference = case.difference(actual, runtime)
        if difference:
            first.setdefault(case.operators, difference)
        for expected, got in zip(case.expected, actual, strict=True):
            if expected.shape == got.shape:
                tally.count(expected, got)
            else:
                tally.refusals.append("output of another shape")
    for operators, tally in tallies.items():
        excess = tally.excess(known(operators, scheme, runtime))
        if excess:
            pytest.fail(f"{runtime}: {' '.join(operators)}: {excess}\n{first[operators]}", pytrace=False)


@every_operator
def test_tensorflow_reference_computes_the_same(name: str, scheme: str, numbers: range) -> None:
    check_against(
        drawn_cases(name, scheme, numbers),
        scheme,
        "tf",
        lambda case: oracles.tensorflow_reference(case.model, case.samples),
    )


@every_operator
def test_tflite_micro_computes_the_same(name: str, scheme: str, numbers: range) -> None:
    check_against(
        drawn_cases(name, scheme, numbers),
        scheme,
        "tflm",
        lambda case: oracles.tflite_micro(case.model, case.samples, len(case.expected)),
    )


@every_operator
def test_torch_computes_the_same(name: str, scheme: str, numbers: range) -> None:
    """In float32, and with codes of 8 bits as bytes."""
    for run in (oracles.torch_forward, oracles.torch_answer):
        cases = drawn_cases(name, scheme, numbers)
        check_against(cases, scheme, "torch", lambda case, run=run: run(case.graph, case.samples))


@every_operator
def test_generated_c_computes_the_same(name: str, scheme: str, numbers: range, tmp_path: Path) -> None:
    cases = drawn_cases(name, scheme, numbers)
    outputs = oracles.host_c([(case.graph, case.samples) for case in cases], tmp_path / "project")
    by_label = {case.label: actual for case, actual in zip(cases, outputs, strict=True)}
    check_against(cases, scheme, "host C", lambda case: by_label[case.label])
