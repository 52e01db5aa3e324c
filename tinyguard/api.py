# SPDX-License-Identifier: Apache-2.0
"""The small Python API for researchers: load a network, run it, differentiate it, compare back ends.

    model = tinyguard.load("model.tflite")
    outputs = model.run(codes)                    # exact integer network, (N, classes) codes
    gradient = model.gradient(codes, labels)      # through that integer network, straight-through
    attacked = model.attack("pgd", codes, labels, eps=8 / 255)
    print(tinyguard.compare(model, "litert", codes))

Codes are integers in the input's dtype, batch first.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyguard.backends import Backend
from tinyguard.backends.choose import open_backend
from tinyguard.data.network_codes import read_codes
from tinyguard.evaluation.agreement import Agreement, agreement
from tinyguard.tflite import read_graph, read_metadata

if TYPE_CHECKING:
    from tinyguard.robustness.attack_run import AttackRun
    from tinyguard.simulator.network import Simulator


class Model:
    """An int8 or int16x8 network. `graph` is its structure, `metadata` its tinyguard record or None."""

    def __init__(self, path: str | Path, output: str | int | None = None) -> None:
        self.path, self._output = Path(path), output
        self.graph = read_graph(self.path, output=output)
        self.metadata = read_metadata(self.path)

    @cached_property
    def simulator(self) -> Simulator:
        """The network as a differentiable torch module on codes."""
        from tinyguard.simulator.network import Simulator

        return Simulator(self.graph)

    def codes(self, data: str, limit: int | None = None) -> tuple[np.ndarray, np.ndarray | None]:
        """Input codes (N, *shape) and labels (N,) or None of a DATA argument, as the commands take it."""
        return read_codes(self.path, self.graph, data, limit)

    def run(self, *codes: np.ndarray) -> np.ndarray | tuple[np.ndarray, ...]:
        """Output codes of the integer network, (N, *shape); a tuple where it has several outputs."""
        outputs = self.simulator.run(*codes)
        return outputs[0] if len(outputs) == 1 else outputs

    def logits(self, codes: np.ndarray) -> np.ndarray:
        """Real-valued logits (N, classes): what feeds the final softmax, dequantized."""
        import torch

        with torch.no_grad():
            return self.simulator.logits(torch.from_numpy(codes.astype(np.float32))).numpy()

    def gradient(self, codes: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Gradient of the cross-entropy with respect to each input code, float32 (N, *shape).

        The loss reads the logits before a final softmax, dequantized; rounding passes straight
        through, and a clamped activation has gradient zero.
        """
        import torch
        from torch.nn import functional

        x = torch.from_numpy(codes.astype(np.float32)).requires_grad_()
        target = torch.from_numpy(np.asarray(labels, np.int64))
        loss = functional.cross_entropy(self.simulator.logits(x), target, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, x)
        return gradient.numpy()

    def attack(
        self,
        name: str,
        codes: np.ndarray,
        labels: np.ndarray,
        *,
        setting: str | None = None,
        backend: str = "simulator",
        source: str | None = None,
        seed: int = 0,
        **parameters: Any,
    ) -> AttackRun:
        """Attack input codes (N, *shape) with labels (N,) as `tinyguard attack` does.

        `name` is one of `tinyguard.attacks.registry()`, `parameters` are its own (`eps`, `norm`, `steps`).
        Distances are fractions of the pixel range. `source` is the float network that transfers are crafted
        on. The result's `x` are the codes found, `success` (N,) which of them fool the network.
        """
        from tinyguard.attacks import find_attack
        from tinyguard.robustness.attacked_network import open_target
        from tinyguard.robustness.run import attack_samples
        from tinyguard.robustness.threat_model import default_setting, make_attack

        chosen = make_attack(find_attack(name), parameters, {})
        target = open_target(self.path, backend=backend, source=source, output=self._output)
        try:
            return attack_samples(
                target, chosen, setting or default_setting(chosen), codes, labels, seed=seed
            )
        finally:
            target.close()


def load(path: str | Path, output: str | int | None = None) -> Model:
    """Read a .tflite file; `output` is the name or number of the output that is the answer, where there are
    several. Raises TinyguardError naming everything unsupported at once."""
    return Model(path, output)


def compare(model: Model, backend: str | Backend, codes: np.ndarray) -> Agreement:
    """Agreement of the simulator with another back end on input codes (N, *shape).

    `backend` is "litert", "compiled", "reference", a serial port, or any Backend.
    """
    other = open_backend(backend, model.path, model.graph) if isinstance(backend, str) else backend
    return agreement(model.graph, model.simulator.run(codes), other.run(codes))
