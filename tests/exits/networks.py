# SPDX-License-Identifier: Apache-2.0
"""A small network with three exits, whose layers do not lie in the order of the exits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tests.codegen.networks import convolution
from tests.operators.builder import GraphBuilder
from tinyguard.exits.measured import Measured
from tinyguard.graph import Graph
from tinyguard.graph.exit_policy import Policy
from tinyguard.operators.exit_gate import NOTHING
from tinyguard.tflite import Metadata, write_graph
from tinyguard.tflite.metadata import with_metadata
from tinyguard.tflite.record.exits import Exits

CLASSES = 10
POLICIES = (
    Policy("never"),
    Policy("confidence", (90, 80)),
    Policy("margin", (20, 12)),
    Policy("entropy", (2400, 2600)),
    Policy("patience", (2,)),
)


def three_exits(
    seed: int = 0, classes: int = CLASSES, order: Sequence[int] = (2, 1, 0), size: int = 8
) -> Graph:
    """Images (1, size, size, 4) to three softmaxes; `order` is that of the outputs, 0 the shallowest."""
    rng = np.random.default_rng(seed)
    b = GraphBuilder()
    features, last = [], b.input((1, size, size, 4), "int8", 0.05, 3)
    for channels in (6, 7, 8):
        last = convolution(b, rng, last, channels)
        features.append(last)
    exits = {number: _head(b, rng, features[number], classes) for number in (0, 2, 1)}
    return b.graph([exits[number] for number in order])


def _head(b: GraphBuilder, rng: np.random.Generator, source: int, classes: int) -> int:
    size = int(np.prod(b.tensors[source].shape))
    weights = rng.integers(-127, 128, (classes, size)).astype(np.int8)
    bias = rng.integers(-500, 500, classes).astype(np.int32)
    scale = 0.9 / size**0.5 / 64
    logits = b.node(
        "FULLY_CONNECTED",
        [source, b.constant(weights, scale=scale), b.constant(bias, scale=0.3 * scale)],
        (1, classes),
        "int8",
        float(rng.uniform(0.05, 0.12)),
        int(rng.integers(-20, 20)),
        fused_activation_function="NONE",
        keep_num_dims=False,
    )
    return b.node("SOFTMAX", [logits], (1, classes), "int8", 1 / 256, -128, beta=1.0)


def plain_file(**options: object) -> bytes:
    """The network as a .tflite file without a record."""
    return write_graph(three_exits(**options))  # type: ignore[arg-type]


def exits_file(
    policy: Policy = POLICIES[1],
    answer: str = "taken",
    outputs: Sequence[int] = (2, 1, 0),
    **options: object,
) -> bytes:
    """The network as a .tflite file with exits; `options` are those of `three_exits`."""
    return with_metadata(plain_file(**options), Metadata.of(exits=Exits(tuple(outputs), policy, answer)))


def codes(count: int, seed: int = 1, size: int = 8) -> np.ndarray:
    """Random input codes (count, size, size, 4), some of them flat, which every exit is unsure of."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-128, 128, (count, size, size, 4)).astype(np.int8)
    x[::5] = x[::5] // 16
    return x


def outputs_under(measured: Measured, policy: Policy) -> list[np.ndarray]:
    """What the network answers under a policy, all of its outputs, when the record's `answer` is "taken"."""
    rows, taken = np.arange(len(measured.scores)), measured.taken(policy)
    decision = [taken + 1, *(measure[rows, taken] for measure in (measured.confidence, measured.entropy))]
    decision = np.stack([*decision, measured.margin[rows, taken]], 1).astype(np.int32)
    reached = np.arange(measured.scores.shape[1]) <= taken[:, None]
    shown = np.where(reached[:, :, None], measured.scores, NOTHING).astype(np.int8)
    return [measured.scores[rows, taken], decision, *shown.transpose(1, 0, 2)]
