# SPDX-License-Identifier: Apache-2.0
"""An interrupted evaluation is taken up where it stopped."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.codegen.networks import chain
from tinyguard.backends.reference import ReferenceBackend
from tinyguard.errors import TinyguardError
from tinyguard.evaluation import RunRecord, evaluate_device, run_key


class _Board:
    """Answers as the reference does, and dies after some samples."""

    description = SimpleNamespace(unit="instructions")

    def __init__(self, backend: ReferenceBackend, lives: int) -> None:
        self.backend, self.lives, self.asked = backend, lives, 0

    def infer(self, sample: np.ndarray) -> SimpleNamespace:
        if self.lives == 0:
            raise TinyguardError("the port vanished")
        self.lives -= 1
        self.asked += 1
        outputs = tuple(y[0] for y in self.backend.run(sample[None]))
        return SimpleNamespace(outputs=outputs, count=1000, disturbed=self.asked == 1)

    def status(self) -> SimpleNamespace:
        return SimpleNamespace(stack_high_water=100)


def test_resuming_finishes_with_the_same_result(tmp_path):
    graph = chain(channels=(3,))
    graph = replace(graph, roles={graph.outputs[0]: "scores"})
    exact = ReferenceBackend(graph)
    codes = np.random.default_rng(0).integers(-128, 128, (10, 8, 8, 4)).astype(np.int8)
    labels = np.zeros(10, np.int64)
    whole = evaluate_device(graph, _Board(exact, 99), exact, codes, labels, RunRecord(tmp_path, "a"), print)
    assert whole.per_inference == 1000

    with pytest.raises(TinyguardError, match="vanished"):
        evaluate_device(graph, _Board(exact, 6), exact, codes, labels, RunRecord(tmp_path, "b"), print)
    record, board = RunRecord(tmp_path, "b"), _Board(exact, 99)
    assert record.load() == 6
    resumed = evaluate_device(graph, board, exact, codes, labels, record, print)
    assert board.asked == 4
    assert resumed.agreement == whole.agreement
    assert resumed.accuracy == whole.accuracy
    assert resumed.agreement.differing_bytes == 0
    record.discard()
    assert RunRecord(tmp_path, "b").load() == 0


def test_a_damaged_record_starts_anew(tmp_path):
    (tmp_path / "k.npz").write_bytes(b"PK\x03\x04 not really")
    assert RunRecord(tmp_path, "k").load() == 0


def test_another_input_is_another_run():
    assert run_key("model", b"12") != run_key("model", b"13")
    assert run_key("ab", "c") != run_key("a", "bc")
