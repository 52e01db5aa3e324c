# SPDX-License-Identifier: Apache-2.0
"""Accuracy of a network on a back end or a board, and its agreement with the exact host network."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyguard.backends import Backend, OpenBackend
from tinyguard.evaluation.agreement import Agreement, agreement
from tinyguard.evaluation.exit_figures import costs_on_board, exit_figures
from tinyguard.evaluation.flags import Flags, flags_of
from tinyguard.evaluation.in_force import InForce, PolicyInForce
from tinyguard.evaluation.resume import RunRecord
from tinyguard.exits.figures import PolicyFigures
from tinyguard.graph import Graph
from tinyguard.graph.answer import answer_name, check_answer, decide

if TYPE_CHECKING:
    from tinyguard.device.client import Device

_HOST_BATCH = 64

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Evaluation:
    """`accuracy` and `host_accuracy` in [0, 1], None without labels. `per_inference`: mean count of one
    inference in `unit` ("cycles" on hardware, "instructions" on an emulator), with the smallest and the
    largest, of the counts that nothing disturbed; None on the host. `samples_per_second` is what the whole
    way takes, transfer included. `output`: the name of the one that is judged, where the network has several.
    `exits`: what its exits did under `policy`, where it has some; on the host their costs are in MACs."""

    samples: int
    accuracy: float | None
    host_accuracy: float | None
    backend: str
    agreement: Agreement
    per_inference: float | None
    per_inference_min: int | None
    per_inference_max: int | None
    unit: str | None
    samples_per_second: float
    stack_bytes: int | None = None
    flash_bytes: int | None = None
    ram_bytes: int | None = None
    flags: Flags | None = None
    settings: Mapping[str, InForce] | None = None
    output: str | None = None
    exits: PolicyFigures | None = None
    policy: PolicyInForce | None = None

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        result = asdict(self)
        if self.output is None:
            del result["output"]
        if self.exits is None:
            del result["exits"], result["policy"]
        result["agreement"].pop("samples")
        return result


def evaluate_host(
    graph: Graph,
    backend: Backend,
    exact: OpenBackend,
    codes: np.ndarray,
    labels: np.ndarray | None,
    progress: Progress,
) -> Evaluation:
    """Run `backend` on input codes (N, *shape) and compare it with the `exact` host network of `graph`.

    Raises TinyguardError for labels int64 (N,) where no class follows from the network's outputs.
    """
    if labels is not None:
        check_answer(graph)
    started = time.monotonic()
    parts: list[Sequence[np.ndarray]] = []
    for start in range(0, len(codes), _HOST_BATCH):
        parts.append(backend.run(codes[start : start + _HOST_BATCH]))
        progress(min(start + _HOST_BATCH, len(codes)))
    seconds = time.monotonic() - started
    outputs = tuple(np.concatenate(column) for column in zip(*parts, strict=True))
    reference = outputs if backend is exact else exact.run(codes)
    return Evaluation(
        samples=len(codes),
        accuracy=_accuracy(graph, outputs, labels),
        host_accuracy=_accuracy(graph, reference, labels),
        backend=backend.name,
        agreement=agreement(graph, reference, outputs),
        per_inference=None,
        per_inference_min=None,
        per_inference_max=None,
        unit=None,
        samples_per_second=len(codes) / max(seconds, 1e-9),
        flags=flags_of(graph, outputs, labels),
        output=answer_name(graph),
        exits=exit_figures(graph, exact, codes, outputs, labels),
    )


def evaluate_device(
    graph: Graph,
    device: Device,
    exact: OpenBackend,
    codes: np.ndarray,
    labels: np.ndarray | None,
    record: RunRecord,
    progress: Progress,
) -> Evaluation:
    """Run a connected board on input codes (N, *shape), from where `record` stands.

    Whatever interrupts the run, `record` is saved first. Raises as `evaluate_host`.
    """
    if labels is not None:
        check_answer(graph)
    started, first = time.monotonic(), len(record.outputs)
    try:
        for index in range(first, len(codes)):
            inference = device.infer(codes[index])
            record.append(inference.outputs, -1 if inference.disturbed else inference.count)
            progress(index + 1)
    finally:
        record.save()
    seconds = time.monotonic() - started
    outputs = record.columns()
    reference = exact.run(codes)
    counts = [count for count in record.counts if count >= 0]
    costs = costs_on_board(graph, device, outputs, record.counts, codes[0])
    exits = exit_figures(graph, exact, codes, outputs, labels, costs)
    # To leave a disturbed sample out would favour the exits that others took: it counts as its exit does.
    mean = exits.mean_cost if exits and costs else float(np.mean(counts)) if counts else None
    return Evaluation(
        samples=len(codes),
        accuracy=_accuracy(graph, outputs, labels),
        host_accuracy=_accuracy(graph, reference, labels),
        backend="device",
        agreement=agreement(graph, reference, outputs),
        per_inference=mean,
        per_inference_min=min(counts, default=None),
        per_inference_max=max(counts, default=None),
        unit=device.description.unit,
        samples_per_second=(len(codes) - first) / max(seconds, 1e-9),
        stack_bytes=device.status().stack_high_water,
        flags=flags_of(graph, outputs, labels),
        output=answer_name(graph),
        exits=exits,
    )


def _accuracy(graph: Graph, outputs: Sequence[np.ndarray], labels: np.ndarray | None) -> float | None:
    return None if labels is None else float((decide(graph, outputs).label == labels).mean())
