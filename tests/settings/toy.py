# SPDX-License-Identifier: Apache-2.0
"""A layer that reads a setting of every kind, and one of whose outputs is of variable length."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import pytest

from tests.operators.builder import GraphBuilder
from tinyguard.graph import Graph, Setting
from tinyguard.operators import registry
from tinyguard.operators.base import Emission, Operator

ELEMENTS = 40
SETTINGS = (
    Setting("level", "int32", (-3,), ((-20, 20),)),
    Setting("whole", "bool", (0,), ((0, 1),)),
    Setting("budget", "uint64", (17,), ((0, 2**40),)),
    Setting("weights", "int32[]", (5, -6, 7), ((-9, 9), (-9, 9), (0, 9))),
)


class Toy(Operator):
    """x + level + weights, of which `budget` bytes are used unless `whole` is set."""

    names: ClassVar = ("TOY",)
    in_file: ClassVar = False
    reads: ClassVar = tuple(setting.name for setting in SETTINGS)

    def prepare(self) -> None:
        self.require_codes(self.input_tensor(0), self.outputs[0])

    @property
    def used(self) -> int:
        (whole,), (budget,) = self.setting("whole"), self.setting("budget")
        return ELEMENTS if whole else min(budget, ELEMENTS)

    def run(self, *inputs: np.ndarray | None) -> tuple[np.ndarray, ...]:
        x = inputs[0]
        assert x is not None
        (level,) = self.setting("level")
        weights = np.resize(np.array(self.setting("weights")), ELEMENTS)
        y = np.clip(x.astype(np.int32) + level + weights, -128, 127).astype(np.int8)
        y[..., self.used :] = 0
        return y, np.full((len(x), 1), self.used, np.int32)

    def emit(self, c: Emission) -> str:
        c.function(
            "toy",
            "static void toy(const int8_t *x, int8_t *y, const int32_t *level, const int32_t *whole,\n"
            "                const uint32_t *budget, const int32_t *weights, int32_t *used)\n{\n"
            f"    *used = *whole || budget[1] || budget[0] > {ELEMENTS} ? {ELEMENTS} : (int32_t)budget[0];\n"
            f"    for (int32_t i = 0; i < {ELEMENTS}; i++) {{\n"
            "        const int32_t sum = x[i] + *level + weights[i % 3];\n"
            "        y[i] = (int8_t)(sum < -128 ? -128 : sum > 127 ? 127 : sum);\n    }\n}\n",
        )
        names = ", ".join(c.setting(setting.name) for setting in SETTINGS)
        return f"toy({c.input(0)}, {c.output()}, {names}, {c.output(1)});"


def toy_graph(variable: bool = True) -> Graph:
    """The toy layer alone; needs `registered`."""
    builder = GraphBuilder()
    source = builder.input((1, ELEMENTS), "int8", 0.1, 0)
    result = builder.node("TOY", [source], (1, ELEMENTS), "int8", 0.1, 0)
    graph = builder.graph([result])
    count = replace(graph.tensors[result], index=len(graph.tensors), name="used", shape=(1,), dtype="int32")
    (node,) = graph.nodes
    return replace(
        graph,
        tensors=(*graph.tensors, replace(count, quantization=None)),
        nodes=(replace(node, outputs=(result, count.index)),),
        outputs=(result, count.index),
        settings=SETTINGS,
        lengths=MappingProxyType({result: count.index} if variable else {}),
    )


@contextmanager
def registered() -> Iterator[None]:
    """Within it the toy layer is one of tinyguard's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry(), "TOY", Toy)
        yield
