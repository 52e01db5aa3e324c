"""Which tensor is meant of what a network in PyTorch returns."""

from __future__ import annotations

from typing import Any

import torch

from tinyguard.errors import TinyguardError


def outputs_of(outputs: Any) -> list[torch.Tensor]:
    """The tensors of what a network returned, nested or not, in its order."""
    return [tensor for _, tensor in named_outputs(outputs)]


def named_outputs(outputs: Any, name: str = "") -> list[tuple[str, torch.Tensor]]:
    """`outputs_of`, each with its key, where a dictionary holds it."""
    if isinstance(outputs, torch.Tensor):
        return [(name, outputs)]
    parts = outputs.items() if isinstance(outputs, dict) else ((name, part) for part in outputs)
    return [named for key, part in parts for named in named_outputs(part, str(key))]


def output_of(outputs: Any, number: int) -> torch.Tensor:
    """Tensor `number` of what a network returned; the tensor itself where it returned one."""
    return outputs if isinstance(outputs, torch.Tensor) else outputs_of(outputs)[number]


def find_output(outputs: Any, wanted: str | int | None) -> int:
    """The number of the output that `wanted` names or numbers. Raises TinyguardError where there are several
    and none is wanted, and where there is no such output."""
    named = named_outputs(outputs)
    if wanted is None and len(named) == 1:
        return 0
    listed = ", ".join(
        f"{number} {f'{name!r} ' if name else ''}{tuple(tensor.shape)}"
        for number, (name, tensor) in enumerate(named)
    )
    if wanted is None:
        raise TinyguardError(
            f"the network has {len(named)} outputs, and nothing says which is the answer: {listed}; type "
            "--output NAME|N"
        )
    names = [name for name, _ in named]
    if str(wanted) in names:
        return names.index(str(wanted))
    if str(wanted).isdecimal() and int(wanted) < len(named):
        return int(wanted)
    raise TinyguardError(f"no output {str(wanted)!r}; the outputs are {listed}")


class OneOutput(torch.nn.Module):
    """`network`, returning tensor `number` alone."""

    def __init__(self, network: torch.nn.Module, number: int) -> None:
        super().__init__()
        self.network, self.number = network, number

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return output_of(self.network(*inputs), self.number)
