# SPDX-License-Identifier: Apache-2.0
"""Keras networks: .keras, .h5 of Keras 3 and of Keras 2, and SavedModel folders."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from tinyguard.errors import TinyguardError
from tinyguard.quantize.source_network import Source, as_arrays, fixed_batch, input_shape, named_outputs
from tinyguard.quiet import one_line, quiet


def load_keras(path: Path) -> Source:
    """A `.keras` or `.h5` network. Lambda layers, which hold code, are refused by Keras' safe mode."""
    with quiet(f"loading {path}"):
        return keras_source(_load(path), path.name)


def keras_source(model: Any, name: str) -> Source:
    """A Keras network in memory (Keras 3, or Keras 2 as `tf_keras`).

    Its outputs are in the order of `model.output`, a dictionary's in the order of its keys, named after the
    keys or after the layers that give them.
    """
    if len(model.inputs) != 1:
        raise TinyguardError(f"{name} has {len(model.inputs)} inputs: quantize takes networks with one input")
    shape = input_shape(tuple(model.inputs[0].shape), name)
    rewritten, notes = _resizing(model)

    def forward(x: np.ndarray) -> tuple[np.ndarray, ...]:
        return as_arrays(model(x, training=False))

    function = fixed_batch(lambda x: rewritten(x, training=False), shape)
    return Source("keras", name, shape, forward, function, (model, rewritten), notes, _output_names(model))


def _output_names(model: Any) -> tuple[str, ...]:
    output = getattr(model, "output", None)
    keys = tuple(key for key, _ in named_outputs(output))
    layers = tuple(getattr(model, "output_names", None) or ())
    return layers if not any(keys) and len(layers) == len(keys) else keys


def load_saved_model(folder: Path, kind: str = "savedmodel") -> Source:
    """A SavedModel's `serving_default` signature.

    The file keeps no order of a signature's outputs, only their names, and TensorFlow gives them in another
    order each time: here they are in the order of their names, numbers in them by value (`output_2` before
    `output_10`).
    """
    import tensorflow as tf

    with quiet(f"loading {folder}"):
        loaded = tf.saved_model.load(str(folder))
        signature = loaded.signatures.get("serving_default")
        if signature is None:
            raise TinyguardError(f"{folder} has no serving_default signature: save it with model.export()")
        inputs = signature.structured_input_signature[1]
        if len(inputs) != 1:
            raise TinyguardError(f"{folder} has {len(inputs)} inputs: quantize takes networks with one input")
        ((key, spec),) = inputs.items()
        shape = input_shape(tuple(spec.shape), folder.name)
        names = sorted(signature.structured_outputs, key=_by_numbers)

        def call(x: Any) -> list[Any]:
            outputs = signature(**{key: x})
            return [outputs[name] for name in names]

        def forward(x: np.ndarray) -> tuple[np.ndarray, ...]:
            return as_arrays(call(tf.constant(x)))

        function = fixed_batch(call, shape)
    return Source(kind, folder.name, shape, forward, function, loaded, outputs=tuple(names))


def _by_numbers(name: str) -> list[tuple[int, str]]:
    """A sort key that takes the numbers in a name by value."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def _load(path: Path) -> Any:
    """With Keras 3; what it cannot read and Keras 2 can, with `tf_keras` where that is installed."""
    import tensorflow as tf

    try:
        depthwise = _legacy_depthwise()
        return tf.keras.models.load_model(path, compile=False, custom_objects={"DepthwiseConv2D": depthwise})
    except Exception as error:
        if path.suffix == ".keras":
            raise TinyguardError(f"{path} cannot be loaded by Keras 3 ({one_line(error)})") from error
        try:
            import tf_keras
        except ImportError:
            raise TinyguardError(
                f"{path} cannot be loaded by Keras 3 ({one_line(error)}): for files of Keras 2 type "
                "pip install tf_keras==2.19.0"
            ) from error
        return tf_keras.models.load_model(path, compile=False)


def _legacy_depthwise() -> type:
    """Keras 2 wrote `groups` into DepthwiseConv2D, which Keras 3 does not take."""
    from tensorflow import keras

    class DepthwiseConv2D(keras.layers.DepthwiseConv2D):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            options.pop("groups", None)
            super().__init__(*arguments, **options)

    return DepthwiseConv2D


def _resizing(model: Any) -> tuple[Any, tuple[str, ...]]:
    """The network with nearest UpSampling2D as RESIZE_NEAREST_NEIGHBOR instead of RESHAPE and TILE.

    TILE version 3, which the converter writes for them, is in no reference runtime.
    """
    from tensorflow import keras

    if not any(_is_nearest(layer) for layer in getattr(model, "layers", [])):
        return model, ()
    if not isinstance(model, keras.Model) or not hasattr(model, "_operations_by_depth"):
        raise TinyguardError(
            f"{model.name} has nearest UpSampling2D and is no functional Keras 3 network: replace it by "
            "keras.ops.image.resize(..., interpolation='nearest')"
        )

    @keras.utils.register_keras_serializable("tinyguard")
    class NearestResize(keras.layers.Layer):
        def __init__(self, size: tuple[int, int], **options: Any) -> None:
            super().__init__(**options)
            self.size = size

        def call(self, x: Any) -> Any:
            import tensorflow as tf

            return tf.image.resize(x, self._target(x.shape), method="nearest")

        def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
            return (shape[0], *self._target(shape), shape[3])

        def _target(self, shape: Any) -> tuple[int, int]:
            return shape[1] * self.size[0], shape[2] * self.size[1]

    def swapped(layer: Any) -> Any:
        if _is_nearest(layer):
            return NearestResize(tuple(layer.size), name=layer.name)
        return layer.__class__.from_config(layer.get_config())

    clone = keras.models.clone_model(model, clone_function=swapped)
    clone.set_weights(model.get_weights())
    return clone, ("nearest UpSampling2D became RESIZE_NEAREST_NEIGHBOR",)


def _is_nearest(layer: Any) -> bool:
    return type(layer).__name__ == "UpSampling2D" and layer.interpolation == "nearest"
