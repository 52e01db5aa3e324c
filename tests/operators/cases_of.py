# SPDX-License-Identifier: Apache-2.0
"""Draws the cases of an operator file: graph, file and samples, from a seed that a failure prints."""

import functools
import importlib
import pkgutil
import zlib
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from tests.operators import cases, oracles
from tests.operators.builder import SCHEMES, draw_samples
from tinyguard.graph import Graph
from tinyguard.tflite.reader import read_graph
from tinyguard.tflite.writer import write_graph


@dataclass(frozen=True)
class Case:
    """One graph as it came back from its file, with samples and what NumPy makes of them."""

    label: str
    graph: Graph
    model: bytes
    samples: list[np.ndarray]
    expected: list[np.ndarray]

    @property
    def operators(self) -> tuple[str, ...]:
        return tuple(sorted({node.operator for node in self.graph.nodes}))

    def describe(self) -> str:
        """Seed, options and shapes."""
        lines = [self.label]
        for node in self.graph.nodes:
            options = {k: v for k, v in node.options.items() if v not in (0, False)}
            lines.append(f"  {node.operator} {options}")
            for role, indices in (("in", node.inputs), ("out", node.outputs)):
                for tensor in (self.graph.tensors[i] for i in indices if i >= 0):
                    value = ""
                    if tensor.data is not None and tensor.elements <= 12:
                        value = f" = {tensor.data.tolist()}"
                    quantized = ""
                    if tensor.quantization:
                        quantized = f" scale {tensor.scale!r} zero point {tensor.zero_point}"
                    lines.append(f"    {role} {tensor.index}: {tensor.dtype}{tensor.shape}{quantized}{value}")
        return "\n".join(lines)

    def difference(self, actual: list[np.ndarray], who: str) -> str:
        """Where `actual` first differs from NumPy, with the case's description; empty when nowhere."""
        for k, (expected, got) in enumerate(zip(self.expected, actual, strict=True)):
            if expected.shape != got.shape or expected.dtype != got.dtype:
                return (
                    f"{self.describe()}\n  output {k}: NumPy {expected.dtype}{expected.shape}, "
                    f"{who} {got.dtype}{got.shape}"
                )
            places = np.argwhere(expected != got)
            if len(places):
                first = tuple(int(i) for i in places[0])
                return (
                    f"{self.describe()}\n  output {k}: {len(places)} of {expected.size} elements differ, "
                    f"first sample {first[0]} at {first[1:]}: NumPy {expected[first]}, {who} {got[first]}"
                )
        return ""


def case_modules() -> dict[str, ModuleType]:
    """Name of the operator file -> its module of cases."""
    return {
        found.name: importlib.import_module(f"{cases.__name__}.{found.name}")
        for found in pkgutil.iter_modules(cases.__path__)
        if not found.name.startswith("_")
    }


def generator(name: str, scheme: str, number: int) -> np.random.Generator:
    """The fixed seed of a case."""
    return np.random.default_rng([zlib.crc32(name.encode()), SCHEMES.index(scheme), number])


def make_case(label: str, graph: Graph, rng: np.random.Generator) -> Case:
    """Graph to file and back, with samples drawn and run in NumPy."""
    model = write_graph(graph)
    graph = read_graph(model)
    samples = draw_samples(graph, rng)
    try:
        return Case(label, graph, model, samples, oracles.numpy_reference(graph, samples))
    except Exception as error:
        error.add_note(Case(label, graph, model, samples, []).describe())
        raise


@functools.cache
def drawn_cases(name: str, scheme: str, numbers: range) -> tuple[Case, ...]:
    """The cases of one operator file with these numbers."""
    module = case_modules()[name]
    drawn = []
    for number in numbers:
        rng = generator(name, scheme, number)
        drawn.append(make_case(f"case {name} {scheme} {number}", module.case(rng, scheme), rng))
    return tuple(drawn)
