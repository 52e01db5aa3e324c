# SPDX-License-Identifier: Apache-2.0
"""What quantize writes of outputs into the file, and figures for real targets."""

from pathlib import Path

import numpy as np
import pytest

from tinyguard.data import Samples, load_data
from tinyguard.errors import TinyguardError
from tinyguard.graph.answer import has_answer
from tinyguard.quantize import Source, quantize
from tinyguard.quantize.keras_source import keras_source
from tinyguard.quantize.roles import parse_roles
from tinyguard.tflite import read_graph, read_metadata


@pytest.fixture(scope="module")
def heads() -> Source:
    """Two outputs of one input (6,): three real values, and the sigmoid of their sum."""
    from tensorflow import keras

    keras.utils.set_random_seed(1)
    x = keras.Input((6,))
    values = keras.layers.Dense(3, name="position")(x)
    ends = keras.layers.Dense(1, activation="sigmoid", name="there")(values)
    return keras_source(keras.Model(x, [values, ends]), "heads")


def samples(y: np.ndarray | None = None, targets: np.ndarray | None = None) -> Samples:
    x = np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)
    return Samples(x, y, name="drawn", targets=targets)


def test_real_targets_give_errors_and_the_role_values(heads: Source) -> None:
    real = heads.predict(samples().x)[0]
    model, report = quantize(heads, samples(), evaluation=samples(targets=real + 0.5))
    error = report.outputs[0].error
    assert error is not None
    assert error.float_network == pytest.approx(0.5, abs=1e-5)
    assert error.quantized_network == pytest.approx(0.5, abs=0.05)
    assert report.outputs[1].error is report.outputs[1].accuracy is None
    assert read_metadata(model).outputs == ("values", None)  # type: ignore[union-attr]
    assert [output.role for output in report.outputs] == ["values", None]
    assert any("mean absolute error int8" in text for _, text in report.rows())
    assert not has_answer(read_graph(model)), "the second output's role is not stated"


def test_roles_are_stated_by_name_and_by_number(heads: Source) -> None:
    roles = parse_roles(["position=values", "1=probability"])
    labels = (heads.predict(samples().x)[1][:, 0] > 0.5).astype(np.int64)
    model, report = quantize(heads, samples(), evaluation=samples(labels), roles=roles)
    assert read_metadata(model).outputs == ("values", "probability")  # type: ignore[union-attr]
    assert report.outputs[0].accuracy is None
    assert report.outputs[1].accuracy is not None
    assert report.outputs[1].accuracy.float_network == 1
    assert has_answer(read_graph(model))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"roles": {"": "values"}}, "--role values names none of the 2 outputs"),
        ({"roles": {"2": "values"}}, "no output '2'; the outputs are 0 'position'"),
        ({"output": "there", "evaluation": samples(targets=np.zeros((30, 3), np.float32))}, "targets"),
        (
            {"evaluation": samples(targets=np.zeros((30, 4), np.float32))},
            r"targets \(4,\) and the outputs are",
        ),
    ],
)
def test_what_does_not_fit_is_refused(heads: Source, given: dict, words: str) -> None:
    with pytest.raises(TinyguardError, match=words):
        quantize(heads, samples(), **given)


def test_roles_that_are_none() -> None:
    with pytest.raises(TinyguardError, match="no role named 'score'; did you mean scores"):
        parse_roles(["score"])
    with pytest.raises(TinyguardError, match="no role named 'mark'"):
        parse_roles(["0=mark"])


@pytest.mark.parametrize(
    ("y", "taken"),
    [
        (np.array([0.25, 1.5]), "targets"),
        (np.array([[1.0], [0.0]]), "targets"),
        (np.array([0.0, 1.0]), "refused"),
        (np.eye(2), "refused"),
        (np.array([1, 0]), "labels"),
    ],
)
def test_labels_are_told_from_targets(y: np.ndarray, taken: str, tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, x=np.zeros((2, 6), np.float32), y=y)
    if taken == "refused":
        with pytest.raises(TinyguardError, match="save labels as integers"):
            load_data(str(path), real_targets=True)
        return
    found = load_data(str(path), real_targets=True)
    assert (found.y is not None, found.targets is not None) == (taken == "labels", taken == "targets")
    if taken == "targets":
        with pytest.raises(TinyguardError, match="save labels as integers"):
            load_data(str(path))
