# SPDX-License-Identifier: Apache-2.0
"""The LiteRT adapter: right runtimes, refused runtimes, shapes."""

from pathlib import Path

import numpy as np
import pytest

from tinyguard.backends.litert import LiteRTBackend
from tinyguard.data import load_data, shared_folder, to_codes
from tinyguard.errors import TinyguardError

SHARED = shared_folder()
pytestmark = pytest.mark.skipif(SHARED is None, reason="needs the networks in TINYGUARD_SHARED")


def model(name: str) -> str:
    assert SHARED is not None
    return str(SHARED / "models" / name)


@pytest.mark.parametrize("runtime", ["tensorflow", "tflite-runtime"])
def test_the_runtimes_agree_where_none_is_known_wrong(runtime: str) -> None:
    backend = LiteRTBackend(model("pretrainedResnet_quant.tflite"), runtime)
    samples = load_data("cifar10", limit=50)
    (codes,) = backend.run(to_codes(samples, backend.inputs[0]))
    assert codes.dtype == np.int8
    assert codes.shape == (50, 10)
    assert int((codes.argmax(1) == samples.y).sum()) == 44
    oracle = LiteRTBackend(model("pretrainedResnet_quant.tflite"))
    assert oracle.name == "litert (tensorflow, reference kernels)"
    assert (oracle.run(to_codes(samples, backend.inputs[0]))[0] == codes).all()


def digits() -> bytes:
    return (Path(__file__).parents[2] / "models" / "digits" / "model.tflite").read_bytes()


def test_a_runtime_known_to_be_wrong_is_refused() -> None:
    for network in (digits(), model("pretrainedResnet_quant.tflite")):
        with pytest.raises(TinyguardError, match="ai-edge-litert differs by 1 on FULLY_CONNECTED"):
            LiteRTBackend(network, "ai-edge-litert")
    assert LiteRTBackend(digits()).runtime == "tensorflow"


def test_trace_gives_every_tensor_of_each_sample() -> None:
    backend = LiteRTBackend(digits(), preserve_all_tensors=True)
    codes = np.random.default_rng(0).integers(-128, 128, (3, 8, 8, 1)).astype(np.int8)
    (outputs,) = backend.run(codes)
    traces = list(backend.trace(codes))
    assert len(traces) == 3
    last = backend.written[-1]
    assert (np.concatenate([trace[last] for trace in traces]) == outputs).all()
    assert set(backend.written) <= set(traces[0])


@pytest.mark.parametrize(
    "inputs",
    [
        (np.zeros((1, 8, 8, 1), np.uint8),),
        (np.zeros((1, 1, 8, 8), np.int8),),
        (np.zeros((8, 8, 1), np.int8),),
        (np.zeros((1, 8, 8, 1), np.int8), np.zeros((1, 8, 8, 1), np.int8)),
    ],
)
def test_inputs_that_do_not_fit(inputs: tuple[np.ndarray, ...]) -> None:
    with pytest.raises(TinyguardError):
        LiteRTBackend(digits()).run(*inputs)


def test_files_that_cannot_be_run() -> None:
    with pytest.raises(TinyguardError, match="cannot be read"):
        LiteRTBackend("/nowhere.tflite")
    with pytest.raises(TinyguardError, match="no reference runtime"):
        LiteRTBackend(b"no model")
    with pytest.raises(TinyguardError, match="name one of"):
        LiteRTBackend(digits(), "tvm")
