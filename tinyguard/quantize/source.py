"""A trained float network, whatever it came from: how to run it and what the converter takes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyguard.errors import TinyguardError
from tinyguard.quiet import quiet

BATCH = 200


@dataclass(frozen=True, eq=False)
class Source:
    """A float network with one input.

    `forward` is the network in its own framework: float32 (N, *shape) to one array per output.
    `function` is a TensorFlow concrete function of the same network with the batch fixed to 1, and `owner`
    the object that keeps its variables alive. `notes` say what was changed on the way.
    """

    kind: str
    name: str
    shape: tuple[int, ...]
    forward: Callable[[np.ndarray], tuple[np.ndarray, ...]]
    function: Any
    owner: Any
    notes: tuple[str, ...] = ()

    def predict(self, x: np.ndarray) -> tuple[np.ndarray, ...]:
        """`forward` over float32 (N, *shape) in batches."""
        with quiet(f"running {self.name}"):
            parts = [self.forward(x[start : start + BATCH]) for start in range(0, len(x), BATCH)]
        return tuple(np.concatenate(outputs) for outputs in zip(*parts, strict=True))


def fixed_batch(call: Callable[[Any], Any], shape: tuple[int, ...]) -> Any:
    """A TensorFlow concrete function of `call` for float32 (1, *shape).

    A dynamic batch would leave SHAPE, PACK and STRIDED_SLICE around transposed convolutions.
    """
    import tensorflow as tf

    signature = [tf.TensorSpec((1, *shape), tf.float32, name="input")]
    return tf.function(call, input_signature=signature).get_concrete_function()


def input_shape(shape: tuple[int | None, ...], name: str) -> tuple[int, ...]:
    """A network's input shape without the batch. Raises TinyguardError where a size is left open."""
    sizes = tuple(shape[1:])
    if not sizes or any(size is None or size < 1 for size in sizes):
        shown = ", ".join("?" if size is None else str(size) for size in shape)
        raise TinyguardError(f"{name}: input shape ({shown}) leaves a size open: save it with fixed sizes")
    return tuple(int(size) for size in sizes if size is not None)


def as_arrays(outputs: Any) -> tuple[np.ndarray, ...]:
    """One array an output from what a framework returned: a tensor, a sequence or a mapping of them."""
    if isinstance(outputs, dict):
        outputs = list(outputs.values())
    if not isinstance(outputs, list | tuple):
        outputs = [outputs]
    return tuple(np.asarray(output) for output in outputs)
