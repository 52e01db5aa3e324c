# SPDX-License-Identifier: Apache-2.0
"""Which tensor is meant of all that a network returns, in whatever framework."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from tinyguard.errors import TinyguardError
from tinyguard.graph.answer import named_place

if TYPE_CHECKING:
    import torch


def named_outputs(outputs: Any, name: str = "") -> list[tuple[str, Any]]:
    """Name and tensor of each output in what a framework returned: a tensor, or a sequence or a mapping of
    them, of any depth, in its own order.

    A name is the mapping's key or the named tuple's field, after those around it: "boxes", "heads.0"; ""
    where there is none. None is no output. Raises TinyguardError for what is no tensor.
    """
    if outputs is None:
        return []
    if hasattr(outputs, "shape") and hasattr(outputs, "dtype"):
        return [(name, outputs)]
    if isinstance(outputs, Mapping):
        parts = [(str(key), value) for key, value in outputs.items()]
    elif isinstance(outputs, list | tuple):
        fields = getattr(outputs, "_fields", None) or [
            str(place) if name else "" for place in range(len(outputs))
        ]
        parts = list(zip(fields, outputs, strict=True))
    else:
        raise TinyguardError(
            f"the network returns a {type(outputs).__name__} where a tensor is due: return a tensor, or a "
            "tuple, list or dictionary of tensors"
        )
    return [
        pair
        for key, value in parts
        for pair in named_outputs(value, f"{name}.{key}" if name and key else key)
    ]


def outputs_of(outputs: Any) -> list[Any]:
    """The tensors of what a network returned, in its order."""
    return [tensor for _, tensor in named_outputs(outputs)]


def output_of(outputs: Any, number: int) -> torch.Tensor:
    """Tensor `number` of what a network in PyTorch returned; the tensor itself where it returned one."""
    tensors: list[torch.Tensor] = outputs_of(outputs)
    return tensors[0] if len(tensors) == 1 else tensors[number]


def find_output(outputs: Any, wanted: str | int | None) -> int:
    """The number of the output that `wanted` names or numbers. Raises TinyguardError where there are several
    and none is wanted, and where there is no such output."""
    named = named_outputs(outputs)
    if wanted is None and len(named) == 1:
        return 0
    return find_named([(name, tuple(tensor.shape[1:])) for name, tensor in named], wanted)


def check_exits(outputs: Any) -> None:
    """Raise TinyguardError unless there are several outputs, and all have one number of elements."""
    shapes = [tuple(tensor.shape[1:]) for tensor in outputs_of(outputs)]
    if len(shapes) < 2 or len({prod(shape) for shape in shapes}) > 1:
        raise TinyguardError(
            f"exits are outputs of one size, and the network has {', '.join(map(str, shapes))}"
        )


def find_named(named: Sequence[tuple[str, tuple[int, ...]]], wanted: str | int | None) -> int:
    """`find_output` of names and shapes of one sample."""
    listed = ", ".join(
        f"{number} {f'{name!r} ' if name else ''}{shape}" for number, (name, shape) in enumerate(named)
    )
    if wanted is None:
        raise TinyguardError(
            f"the network has {len(named)} outputs, and nothing says which is the answer: {listed}; type "
            "--output NAME|N"
        )
    place = named_place([name for name, _ in named], wanted)
    if place is None:
        raise TinyguardError(f"no output {str(wanted)!r}; the outputs are {listed}")
    return place
