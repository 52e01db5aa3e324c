# SPDX-License-Identifier: Apache-2.0
"""Filters drawn on random images and series, with random parameters."""

import zlib

import numpy as np

from tests.operators import oracles
from tests.operators.builder import GraphBuilder, draw_samples
from tests.operators.cases_of import Case
from tinyguard.graph import Graph
from tinyguard.tflite.record.filters import KINDS, InputFilter

PARAMETERS = {
    "bit-depth": {"bits": range(1, 8)},
    "mean": {"size": (2, 3)},
    "median": {"size": (3,)},
    "gaussian": {"size": (3, 5)},
    "dct": {"quality": range(1, 101)},
    "tv": {"strength": (1, 2, 4, 8, 16, 32), "iterations": range(1, 25)},
}


def draw_filter(rng: np.random.Generator, name: str) -> InputFilter:
    return InputFilter(name, {key: int(rng.choice(values)) for key, values in PARAMETERS[name].items()})


def draw_shape(rng: np.random.Generator) -> tuple[int, ...]:
    """An image, one time in five a series; sides from 1 on, channels mostly few."""
    channels = int(rng.choice([1, 3, int(rng.integers(1, 9))]))
    kind = rng.random()
    if kind < 0.1:
        return (1, int(rng.integers(1, 60)))
    if kind < 0.2:
        return (1, int(rng.integers(1, 40)), channels)
    return (1, int(rng.integers(1, 20)), int(rng.integers(1, 20)), channels)


def filter_graph(rng: np.random.Generator, filters: list[InputFilter], shape: tuple[int, ...]) -> Graph:
    b = GraphBuilder()
    x = b.input(shape, rng=rng)
    for one in filters:
        x = b.node(KINDS[one.name].operator, [x], shape, **one.parameters)
    return b.graph()


def filter_case(name: str, number: int) -> Case:
    """Case `number` of a filter: always the same; every other image is smooth, as pictures are."""
    rng = np.random.default_rng([zlib.crc32(name.encode()), number])
    graph = filter_graph(rng, [draw_filter(rng, name)], draw_shape(rng))
    samples = draw_samples(graph, rng)
    ramp = np.linspace(-100, 100, samples[0][0].size).reshape(samples[0][0].shape)
    samples[0][::2] = np.clip(ramp + rng.normal(0, 9, samples[0][::2].shape), -128, 127).astype(np.int8)
    return Case(f"filter {name} {number}", graph, b"", samples, oracles.numpy_reference(graph, samples))
