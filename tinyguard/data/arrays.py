# SPDX-License-Identifier: Apache-2.0
"""Samples from an .npz file, and the checks that samples from anywhere pass."""

import zipfile
from pathlib import Path

import numpy as np

from tinyguard.data.samples import Samples
from tinyguard.errors import TinyguardError

DTYPES = ("uint8", "int8", "int16", "float32")


def load_npz(path: Path, real_targets: bool = False) -> Samples:
    """`x` (N, ...) and, where it is there, `y` (N,). float64 is narrowed; other dtypes are refused.

    With `real_targets` a `y` of real values, (N, ...), is taken as targets, unless it is labels: one-hot, or
    whole numbers (N,), which (N, 1) tells apart.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if "x" not in arrays:
                names = ", ".join(arrays.files) or "nothing"
                raise TinyguardError(
                    f"{path} holds {names} but no array x: save it with numpy.savez(..., x=, y=)"
                )
            x, y = arrays["x"], arrays.get("y")
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise TinyguardError(
            f"{path} cannot be read as .npz ({type(error).__name__}): save plain arrays with numpy.savez"
        ) from None
    if x.dtype == np.float64:
        x = x.astype(np.float32)
    if real_targets and y is not None and y.dtype.kind == "f" and not _are_labels(y):
        return Samples(x, name=str(path), targets=y.astype(np.float32))
    return Samples(x, _labels(y, path), name=str(path))


def _are_labels(y: np.ndarray) -> bool:
    if y.ndim == 1:
        return bool((y == np.round(y)).all())
    return y.ndim == 2 and y.shape[1] > 1 and bool(((y == 0) | (y == 1)).all() and (y.sum(axis=1) == 1).all())


def _labels(y: np.ndarray | None, path: Path) -> np.ndarray | None:
    if y is None:
        return None
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise TinyguardError(
            f"{path}: y is {y.dtype} of shape {y.shape}, not one integer per sample: "
            "save labels as integers, for one-hot labels save y.argmax(1)"
        )
    return y.astype(np.int64)


def check(samples: Samples, shape: tuple[int, ...] | None, classes: int | None) -> Samples:
    """The samples, with a missing channel axis added. `shape` is one input's without the batch.

    Raises TinyguardError for no samples, a dtype not in DTYPES, NaN or infinity, another shape, labels
    that are missing in number or out of 0..classes-1.
    """
    x, y, name = samples.x, samples.y, samples.name
    if str(x.dtype) not in DTYPES:
        raise TinyguardError(
            f"{name}: x is {x.dtype}: save uint8 pixels, int8 or int16 codes, or float32 values"
        )
    if x.ndim < 2 or len(x) == 0:
        raise TinyguardError(
            f"{name} has no samples: x has shape {x.shape}, wanted is (N, ...) with N at least 1"
        )
    if x.dtype == np.float32 and not np.isfinite(x).all():
        bad = int(np.argmin(np.isfinite(x).reshape(len(x), -1).all(1)))
        raise TinyguardError(f"{name}: sample {bad} holds NaN or infinity: remove it")
    if shape is not None:
        x = _shaped(x, shape, name)
    if samples.targets is not None and (
        len(samples.targets) != len(x) or not np.isfinite(samples.targets).all()
    ):
        raise TinyguardError(f"{name} has {len(x)} samples, and targets y that are not as many finite values")
    if y is not None:
        if len(y) != len(x):
            raise TinyguardError(f"{name} has {len(x)} samples and {len(y)} labels: they must be as many")
        if y.min() < 0 or (classes is not None and y.max() >= classes):
            bad = int(np.argmax((y < 0) | (y >= (classes or np.inf))))
            limit = "" if classes is None else f" to {classes - 1}"
            raise TinyguardError(f"{name}: label {y[bad]} of sample {bad} is not one of the classes 0{limit}")
    return Samples(x, y, samples.class_names, name, samples.targets)


def _shaped(x: np.ndarray, shape: tuple[int, ...], name: str) -> np.ndarray:
    if x.shape[1:] == shape:
        return x
    if (*x.shape[1:], 1) == shape:
        return x[..., None]
    hint = "save x with that shape"
    if len(shape) == 3 and x.shape[1:] == (shape[2], shape[0], shape[1]):
        hint = "it looks channels first: save x.transpose(0, 2, 3, 1)"
    raise TinyguardError(f"{name}: samples have shape {x.shape[1:]} and the network takes {shape}: {hint}")
