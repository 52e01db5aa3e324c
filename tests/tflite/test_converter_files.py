# SPDX-License-Identifier: Apache-2.0
"""Files as TensorFlow's own converter writes them, in every scheme it knows."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tinyguard.tflite import survey, write_graph
from tinyguard.tflite.flatbuffer import decode, encode, unknown_parts

SCHEMES = {
    "float": "float32 network",
    "dynamic range": "dynamic-range quantization",
    "float16": "float16 weights",
    "uint8 border": "uint8 activations",
    "float border": None,
    "int8": None,
    "int16x8": None,
}


@pytest.fixture(scope="module")
def convert() -> Callable[[str], bytes]:
    tf = pytest.importorskip("tensorflow")
    layers = tf.keras.layers
    source = tf.keras.Input((8, 8, 3), batch_size=1)
    x = layers.Conv2D(8, 3, activation="relu")(source)
    x = layers.Add()([x, layers.DepthwiseConv2D(3, padding="same")(x)])
    x = layers.Dense(4, activation="softmax")(layers.Dense(200)(layers.Flatten()(x)))
    network = tf.keras.Model(source, x)

    def samples() -> Iterator[list[np.ndarray]]:
        for seed in range(4):
            yield [np.random.default_rng(seed).random((1, 8, 8, 3), np.float32)]

    def converted(scheme: str) -> bytes:
        converter: Any = tf.lite.TFLiteConverter.from_keras_model(network)
        converter.optimizations = [] if scheme == "float" else [tf.lite.Optimize.DEFAULT]
        if scheme == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if scheme not in ("float", "float16", "dynamic range"):
            converter.representative_dataset = samples
            sets = tf.lite.OpsSet
            integer = sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
            converter.target_spec.supported_ops = [
                integer if scheme == "int16x8" else sets.TFLITE_BUILTINS_INT8
            ]
            border = {"uint8 border": tf.uint8, "float border": tf.float32, "int16x8": tf.int16}
            kind = border.get(scheme, tf.int8)
            converter.inference_input_type = converter.inference_output_type = kind
        return bytes(converter.convert())

    return converted


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SCHEMES)
def test_schemes(convert: Callable[[str], bytes], scheme: str) -> None:
    data = convert(scheme)
    model = decode(data)
    assert unknown_parts(model) == []
    assert decode(encode(model)) == model
    graph, problems = survey(data)
    expected = SCHEMES[scheme]
    if expected is None:
        assert problems == []
    else:
        assert len(problems) == 1
        assert problems[0].startswith(expected)
        assert "tinyguard quantize SOURCE" in problems[0]
    if "int8" in {tensor.dtype for tensor in graph.tensors} and scheme != "float16":
        again, _ = survey(write_graph(graph))
        assert [node.options for node in again.nodes] == [node.options for node in graph.nodes]
