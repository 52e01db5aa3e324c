# SPDX-License-Identifier: Apache-2.0
"""A back end that keeps what went in and came out."""

import numpy as np

from tinyguard.backends import Backend


class Recorded:
    """Runs `backend` and keeps every run: `inputs` and `outputs`, a tuple of arrays each, in order."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.inputs: list[tuple[np.ndarray, ...]] = []
        self.outputs: list[tuple[np.ndarray, ...]] = []

    @property
    def name(self) -> str:
        return self.backend.name

    def run(self, *inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        outputs = self.backend.run(*inputs)
        self.inputs.append(tuple(x.copy() for x in inputs))
        self.outputs.append(tuple(y.copy() for y in outputs))
        return outputs
