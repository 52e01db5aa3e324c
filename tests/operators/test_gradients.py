# SPDX-License-Identifier: Apache-2.0
"""The straight-through gradients: steps along them really move the integer network that way.

For a random weighting of the outputs, every input code takes a step of a few codes up its gradient
and down it. The weighted outputs, computed exactly, must rise between the two, about as predicted.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.operators import oracles
from tests.operators.builder import CODE_RANGE, SCHEMES
from tests.operators.cases_of import Case, case_modules, drawn_cases
from tinyguard.graph import Graph

CASES = range(20)  # the quick share of test_operators, drawn once
STEP = {"int8": 6, "int16": 1500}
SAMPLES = 4


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        pytest.param(name, scheme, marks=pytest.mark.xdist_group(f"{name}-0"))
        for name, module in case_modules().items()
        for scheme in getattr(module, "SCHEMES", SCHEMES)
    ],
)
def test_steps_up_the_gradient_raise_the_outputs(name: str, scheme: str) -> None:
    predicted, actual = [], []
    for number, case in zip(CASES, drawn_cases(name, scheme, CASES), strict=True):
        if all(case.graph.tensors[i].dtype in STEP for i in case.graph.inputs):
            p, a = rises(case, np.random.default_rng(number))
            predicted += p
            actual += a
    if not predicted:
        pytest.skip("no case moves its outputs by more than their rounding")
    right = np.array(actual) > 0
    ratios = np.array(actual) / np.array(predicted)
    summary = (
        f"{right.sum()} of {len(right)} steps rise; median of actual by predicted {np.median(ratios):.2f}"
    )
    assert right.mean() > 0.95, summary
    assert 0.5 < np.median(ratios) < 1.5, summary


def rises(case: Case, rng: np.random.Generator) -> tuple[list[float], list[float]]:
    """Predicted and actual rise of each sample whose predicted rise stands out from the rounding."""
    import torch

    graph = case.graph
    middle = []
    for index in graph.inputs:
        tensor = graph.tensors[index]
        step, (low, high) = STEP[tensor.dtype], CODE_RANGE[tensor.dtype]
        middle.append(rng.integers(low + step, high - step + 1, (SAMPLES, *tensor.shape)))
    leaves = [torch.tensor(x, dtype=torch.float32, requires_grad=True) for x in middle]
    outputs = oracles.torch_outputs(graph, leaves)
    weights = [rng.choice([-1.0, 1.0], y.shape[1:]) for y in outputs]
    moving = [(y, w) for y, w in zip(outputs, weights, strict=True) if y.requires_grad]
    if not moving:
        return [], []
    sum((y * torch.from_numpy(w)).sum() for y, w in moving).backward()  # type: ignore[union-attr]
    gradients = [np.zeros(x.shape) if x.grad is None else x.grad.numpy() for x in leaves]
    steps = [
        STEP[graph.tensors[i].dtype] * np.sign(g).astype(np.int64)
        for i, g in zip(graph.inputs, gradients, strict=True)
    ]
    slope = sum(np.abs(g * s).reshape(SAMPLES, -1).sum(axis=1) for g, s in zip(gradients, steps, strict=True))
    up = weighted(graph, [x + s for x, s in zip(middle, steps, strict=True)], weights)
    down = weighted(graph, [x - s for x, s in zip(middle, steps, strict=True)], weights)
    rounding = 3 * np.sqrt(sum(w.size for w in weights))
    clear = 2 * slope > rounding
    return list(2 * slope[clear]), list((up - down)[clear])


def weighted(graph: Graph, codes: Sequence[np.ndarray], weights: Sequence[np.ndarray]) -> Any:
    samples = [x.astype(graph.tensors[i].dtype) for x, i in zip(codes, graph.inputs, strict=True)]
    outputs = oracles.numpy_reference(graph, samples)
    return sum((y * w).reshape(SAMPLES, -1).sum(axis=1) for y, w in zip(outputs, weights, strict=True))
