# SPDX-License-Identifier: Apache-2.0
"""EXIT_GATE: whether a network with several exits answers at this one, and what it then says.

No .tflite file holds it; the section `exits` of the record puts one after each exit. The policies are those
of `graph/exit_policy.py`; measures are of this exit alone, whatever is answered. Ties between classes go to
the lowest index.

A runtime may stop after a gate that has decided: what later gates would leave as it is lies in the memory
that they would leave it in (`carried`).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tinyguard.arithmetic.entropy import LEVELS, entropy_table, mean_of
from tinyguard.graph.exit_policy import POLICY, SETTINGS, read_policy
from tinyguard.graph.multi_exit import DECISION_ELEMENTS, TAKEN
from tinyguard.operators.base import Emission, Operator
from tinyguard.operators.monte_carlo import require_probabilities

ANSWERS = ("taken", "mean")
NOTHING = -LEVELS // 2
"""The code of probability 0, which an exit that was not reached shows."""
SCORES, LOGITS, STATE, ANSWER, DECIDED, SHOWN = range(6)
"""The inputs: softmax codes and logits of this exit; from the gate before, absent in the first, the state,
the answer, the decision, and from `SHOWN` on what every exit shows."""
_CLASS, _RUN, _SUMS = 0, 1, 2  # in the state: class of the last exit, how many named it, sums of codes


def state_elements(answer: str, classes: int) -> int:
    """Elements of the state, int32: class and count, and for the mean a sum for each class."""
    return _SUMS + (classes if answer == "mean" else 0)


class ExitGate(Operator):
    """Outputs: the answer int8 (1, classes), the decision int32 (1, 4), what every exit shows, int8 (1,
    classes) each, and the state int32.

    Options: `exit` (from 1), `exits`, and `answer`, one of ANSWERS: this exit's own scores, or the mean of
    the exits up to it, the sum of their codes plus half their number, divided and rounded down.
    """

    names: ClassVar = ("EXIT_GATE",)
    in_file: ClassVar = False
    reads: ClassVar = SETTINGS

    def prepare(self) -> None:
        scores, logits = self.input_tensor(SCORES), self.input_tensor(LOGITS)
        self.exit, self.exits = int(self.option("exit")), int(self.option("exits"))
        self.answer = str(self.option("answer"))
        self.classes = scores.elements
        require_probabilities(self, SCORES)
        self.require(logits.dtype == "int8" and logits.elements == self.classes, "logits of another shape")
        self.require(self.classes > 1 and self.answer in ANSWERS, f"the answer {self.answer!r}")
        wanted = state_elements(self.answer, self.classes)
        self.require(len(self.outputs) == 3 + self.exits, "another number of outputs")
        self.require(self.outputs[-1].elements == wanted, "a state of another size")
        policy = read_policy(self.settings)
        assert policy is not None
        self.policy = policy

    @property
    def first(self) -> bool:
        return self.exit == 1

    @property
    def last(self) -> bool:
        return self.exit == self.exits

    @property
    def carried(self) -> dict[int, int]:
        shown = range(self.exits + 2)
        return {} if self.first else {**{i: ANSWER + i for i in shown}, len(shown): STATE}

    def run(self, *inputs: np.ndarray | None) -> tuple[np.ndarray, ...]:
        codes, logits = (_flat(inputs[place]) for place in (SCORES, LOGITS))
        count = len(codes)
        q = codes + LEVELS // 2
        if self.first:
            answer = np.full((count, self.classes), NOTHING, np.int32)
            decided = np.zeros((count, DECISION_ELEMENTS), np.int32)
            state = np.zeros((count, self.outputs[-1].elements), np.int32)
            shown = [answer] * self.exits
        else:
            state, answer, decided, *shown = (_flat(x) for x in inputs[STATE:])
        label, top = codes.argmax(1), np.sort(logits, axis=1)
        run = np.where(label == state[:, _CLASS], state[:, _RUN], 0) + 1
        after = np.stack([label, run], 1)
        measures = np.stack(
            [q.max(1), entropy_table()[q].sum(1, dtype=np.int32), top[:, -1] - top[:, -2]], axis=1
        )
        said = codes
        if self.answer == "mean":
            sums = state[:, _SUMS:] + codes
            after = np.concatenate([after, sums], 1)
            said = mean_of(sums, self.exit)
        still = decided[:, TAKEN] == 0
        taken = still & self._leaves(measures, run)
        here = np.concatenate([np.full((count, 1), self.exit), measures], axis=1)
        shown[self.exit - 1] = np.where(still[:, None], codes, NOTHING)
        results = [
            np.where(taken[:, None], said, answer),
            np.where(taken[:, None], here, decided),
            *shown,
            after,
        ]
        return tuple(
            result.astype(tensor.dtype).reshape(count, *tensor.shape)
            for result, tensor in zip(results, self.outputs, strict=True)
        )

    def _leaves(self, measures: np.ndarray, run: np.ndarray) -> np.ndarray:
        kind, thresholds = self.policy.kind, self.policy.thresholds
        if self.last:
            return np.ones(len(run), bool)
        probability, entropy, margin = measures.T
        match kind:
            case "confidence":
                return np.asarray(probability >= thresholds[self.exit - 1])
            case "margin":
                return np.asarray(margin >= thresholds[self.exit - 1])
            case "entropy":
                return np.asarray(entropy <= thresholds[self.exit - 1])
            case "patience":
                return np.asarray(run >= thresholds[0])
        return np.zeros(len(run), bool)

    def emit(self, c: Emission) -> str:
        c.kernel("exit_gate.h")
        before = ["0", "0", "0"] if self.first else [c.input(place) for place in (ANSWER, DECIDED, STATE)]
        fields = {
            "classes": str(self.classes),
            "exit": str(self.exit),
            "exits": str(self.exits),
            "settings": c.setting(POLICY),
            "entropies": c.constant("entropies", entropy_table(), "1/1024 bit, of probabilities in 1/256"),
            "scores": c.input(SCORES),
            "logits": c.input(LOGITS),
            **dict(zip(("answer_before", "decision_before", "state_before"), before, strict=True)),
            "answer": c.output(0),
            "decision": c.output(1),
            "shown": c.output(1 + self.exit),
            "state": c.output(self.exits + 2),
        }
        lines = [f"    .{name} = {value}," for name, value in fields.items()]
        gate = ["static const tg_exit_gate gate = {", *lines, "};", f"tg_exit_gate_{self.answer}(&gate);"]
        return "\n".join([*gate, *self._others(c)])

    def _others(self, c: Emission) -> list[str]:
        """What the other exits show: nothing yet, or what they did, which mostly lies there already."""
        lines = []
        for place in range(self.exits):
            if place == self.exit - 1:
                continue
            now = c.output(2 + place)
            before = "0" if self.first else c.input(SHOWN + place)
            if before.removeprefix("(const ") != now.removeprefix("("):
                lines.append(f"tg_exit_show({self.classes}, {before}, {now});")
        return lines


def _flat(x: np.ndarray | None) -> np.ndarray:
    assert x is not None
    return x.reshape(len(x), -1).astype(np.int32)
