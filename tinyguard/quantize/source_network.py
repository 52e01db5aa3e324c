# SPDX-License-Identifier: Apache-2.0
"""A trained float network, whatever it came from: how to run it and what the converter takes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from tinyguard.errors import TinyguardError
from tinyguard.graph import sample_shape
from tinyguard.quiet import quiet
from tinyguard.sources.one_output import named_outputs

BATCH = 200


@dataclass(frozen=True, eq=False)
class Source:
    """A float network with one input.

    `forward` is the network in its own framework: float32 (N, *shape) to one array per output, in the order
    that the network gives them. It may take a batch of 1 alone, and an output need have no batch axis.
    `function` is a TensorFlow concrete function of the same network with the batch fixed to 1, its outputs
    in the same order, and `owner` the object that keeps its variables alive. `notes` say what was changed on
    the way. `outputs` are the outputs' names, "" where the source has none; () stands for no names at all.
    """

    kind: str
    name: str
    shape: tuple[int, ...]
    forward: Callable[[np.ndarray], tuple[np.ndarray, ...]]
    function: Any
    owner: Any
    notes: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    def predict(self, x: np.ndarray) -> tuple[np.ndarray, ...]:
        """`forward` over float32 (N, *shape): one array (N, *sample) per output, where `sample` is the
        output's shape for one sample, without a leading 1.

        Samples go in batches where that gives every output a row per sample, and else one by one.
        """
        with quiet(f"running {self.name}"):
            shapes = [sample_shape(output.shape) for output in self.forward(x[:1])]
            parts = [self._rows(x[start : start + BATCH], shapes) for start in range(0, len(x), BATCH)]
        return tuple(np.concatenate(outputs) for outputs in zip(*parts, strict=True))

    def with_outputs(self, places: Sequence[int]) -> Self:
        """The network that gives its outputs number `places` alone, in that order; the converter still sees
        all of them."""

        def forward(x: np.ndarray) -> tuple[np.ndarray, ...]:
            outputs = self.forward(x)
            return tuple(outputs[place] for place in places)

        names = tuple(self.outputs[place] for place in places) if self.outputs else ()
        return replace(self, forward=forward, outputs=names)

    def _rows(self, x: np.ndarray, shapes: Sequence[tuple[int, ...]]) -> tuple[np.ndarray, ...]:
        try:
            outputs = self.forward(x)
            if [output.shape for output in outputs] == [(len(x), *shape) for shape in shapes]:
                return outputs
        except Exception:  # every framework refuses a batch that does not fit in its own way
            pass
        rows = [self.forward(row[None]) for row in x]
        return tuple(
            np.stack([output.reshape(shape) for output in column])
            for column, shape in zip(zip(*rows, strict=True), shapes, strict=True)
        )


def fixed_batch(call: Callable[[Any], Any], shape: tuple[int, ...]) -> Any:
    """A TensorFlow concrete function of `call` for float32 (1, *shape), several outputs as a list in order.

    A dynamic batch would leave SHAPE, PACK and STRIDED_SLICE around transposed convolutions. TensorFlow
    sorts the outputs of a dictionary by their keys.
    """
    import tensorflow as tf

    named = tf.autograph.experimental.do_not_convert(named_outputs)

    def in_order(x: Any) -> Any:
        outputs = call(x)
        tensors = [tensor for _, tensor in named(outputs)]
        return outputs if len(tensors) == 1 else tensors

    signature = [tf.TensorSpec((1, *shape), tf.float32, name="input")]
    return tf.function(in_order, input_signature=signature).get_concrete_function()


def input_shape(shape: tuple[int | None, ...], name: str) -> tuple[int, ...]:
    """A network's input shape without the batch. Raises TinyguardError where a size is left open."""
    sizes = tuple(shape[1:])
    if not sizes or any(size is None or size < 1 for size in sizes):
        shown = ", ".join("?" if size is None else str(size) for size in shape)
        raise TinyguardError(f"{name}: input shape ({shown}) leaves a size open: save it with fixed sizes")
    return tuple(int(size) for size in sizes if size is not None)


def output_label(names: Sequence[str], place: int) -> str:
    """What a person calls an output: its number, and its name where it has one."""
    name = names[place] if place < len(names) else ""
    return f"{place} '{name}'" if name else str(place)


def check_once(network: str, tensors: Sequence[Any], names: Sequence[str]) -> None:
    """Raise TinyguardError where one of `tensors`, numbers or names per output, comes twice."""
    for place, tensor in enumerate(tensors):
        first = tensors.index(tensor)
        if first != place:
            raise TinyguardError(
                f"outputs {output_label(names, first)} and {output_label(names, place)} of {network} are one "
                "tensor: leave one of them out of the network"
            )


def as_arrays(outputs: Any) -> tuple[np.ndarray, ...]:
    """One array per output of what a framework returned. See named_outputs."""
    return tuple(np.asarray(output) for _, output in named_outputs(outputs))
