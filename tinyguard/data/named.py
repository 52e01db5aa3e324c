# SPDX-License-Identifier: Apache-2.0
"""The built-in data sets: digits, mnist and cifar10, as uint8 pixels (N, height, width, channels).

Where mnist and cifar10 come from, in this order: the path given after the name (`cifar10:/data/cifar`), the
folder data/ of TINYGUARD_SHARED, the copy that Keras downloads and keeps in ~/.keras.
"""

import gzip
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np

from tinyguard.data.samples import Samples
from tinyguard.errors import TinyguardError

DIGITS_SEED = 20240501
DIGITS_HELD_OUT = 360
SPLITS = ("train", "test")
SHAPES = {"mnist": (28, 28, 1), "cifar10": (32, 32, 3)}
CLASSES = {
    "digits": tuple("0123456789"),
    "mnist": tuple("0123456789"),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
}
NAMES = tuple(CLASSES)


def load_named(name: str, split: str, path: Path | None = None) -> Samples:
    """One split of a built-in data set. Raises TinyguardError when it cannot be found or read."""
    x, y = _digits(split) if name == "digits" else _images(name, split, path)
    return Samples(x, y.astype(np.int64), CLASSES[name], f"{name}:{split}")


def _digits(split: str) -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's 1,797 digits (8x8, values 0..16 stretched to 0..255): 1,437 to train, 360 held out.

    The split is one permutation drawn with DIGITS_SEED; its first 360 images are the held-out ones.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise TinyguardError("the digits need scikit-learn: type pip install 'tinyguard[data]'") from None
    digits = load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    order = np.random.RandomState(DIGITS_SEED).permutation(len(pixels))
    chosen = order[:DIGITS_HELD_OUT] if split == "test" else order[DIGITS_HELD_OUT:]
    return pixels[chosen], digits.target[chosen]


def _images(name: str, split: str, path: Path | None) -> tuple[np.ndarray, np.ndarray]:
    if path is not None:
        samples = _read_checked(name, split, path)
        if samples is None:
            raise TinyguardError(
                f"no {name} {split} images in {path}: give a folder with the binary files of {name} or "
                "an .npz with x_train, y_train, x_test and y_test"
            )
        return samples
    shared = shared_folder()
    samples = _read_checked(name, split, shared / "data" / name) if shared else None
    return samples if samples is not None else _from_keras(name, split)


def shared_folder() -> Path | None:
    """TINYGUARD_SHARED, or `shared` beside the checkout; None when there is neither."""
    beside = Path(__file__).resolve().parents[2].parent / "shared"
    folder = Path(os.environ.get("TINYGUARD_SHARED", beside))
    return folder if folder.is_dir() else None


def _read_checked(name: str, split: str, path: Path) -> tuple[np.ndarray, np.ndarray] | None:
    try:
        return _read_local(name, split, path)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise TinyguardError(
            f"the {name} {split} files in {path} are damaged ({type(error).__name__}): fetch them again"
        ) from None


def _read_local(name: str, split: str, path: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Images and labels from a local copy in any layout known here; None when there is none of them."""
    if path.is_file() and path.suffix == ".npz":
        return _read_npz(split, path)
    if (path / f"{split}-labels.npy").is_file():
        return _read_sheets(name, split, path)
    return _read_cifar_binary(split, path) if name == "cifar10" else _read_idx(split, path)


def _read_npz(split: str, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Keras' layout: x_train, y_train, x_test, y_test."""
    with np.load(path, allow_pickle=False) as arrays:
        if f"x_{split}" not in arrays or f"y_{split}" not in arrays:
            raise TinyguardError(f"{path} has no x_{split} and y_{split}: save both with numpy.savez")
        x, y = arrays[f"x_{split}"], arrays[f"y_{split}"].reshape(-1)
    return (x[..., None] if x.ndim == 3 else x), y


def _read_sheets(name: str, split: str, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Lossless sheets of 100 images per row, `train-00.webp` and so on, with `train-labels.npy`."""
    try:
        from PIL import Image
    except ImportError:
        raise TinyguardError("image sheets need Pillow: type pip install 'tinyguard[data]'") from None
    height, width, channels = SHAPES[name]
    labels = np.load(path / f"{split}-labels.npy", allow_pickle=False)
    images = []
    for sheet in sorted(path.glob(f"{split}-[0-9]*")):
        with Image.open(sheet) as picture:
            pixels = np.asarray(picture)
        grid = pixels.reshape(-1, height, pixels.shape[1] // width, width, channels)
        images.append(grid.swapaxes(1, 2).reshape(-1, height, width, channels))
    return np.concatenate(images)[: len(labels)], labels


def _read_cifar_binary(split: str, path: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """The "binary version": records of one label byte and 3,072 pixels, planes first."""
    names = ["test_batch.bin"] if split == "test" else [f"data_batch_{part}.bin" for part in range(1, 6)]
    for folder in (path, path / "cifar-10-batches-bin"):
        if all((folder / name).is_file() for name in names):
            records = np.concatenate(
                [np.fromfile(folder / name, np.uint8).reshape(-1, 3073) for name in names]
            )
            return records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), records[:, 0]
    return None


def _read_idx(split: str, path: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Yann LeCun's files, gzipped or not: 16 bytes of header before the images, 8 before the labels."""
    prefix = "t10k" if split == "test" else "train"
    images, labels = path / f"{prefix}-images-idx3-ubyte", path / f"{prefix}-labels-idx1-ubyte"
    for ending, opener in (("", open), (".gz", gzip.open)):
        if Path(f"{images}{ending}").is_file() and Path(f"{labels}{ending}").is_file():
            with opener(f"{images}{ending}", "rb") as stream:
                x = np.frombuffer(stream.read(), np.uint8, offset=16).reshape(-1, 28, 28, 1)
            with opener(f"{labels}{ending}", "rb") as stream:
                return x, np.frombuffer(stream.read(), np.uint8, offset=8)
    return None


def _from_keras(name: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    where = f"give a local copy as {name}:{split}:/path"
    try:
        from tensorflow import keras
    except ImportError:
        raise TinyguardError(
            f"{name} is not on this machine and Keras, which fetches it, is not installed: {where}"
        ) from None
    try:
        parts = getattr(keras.datasets, name).load_data()
    except Exception as error:
        raise TinyguardError(f"{name} could not be downloaded ({type(error).__name__}): {where}") from None
    x, y = parts[SPLITS.index(split)]
    return (x[..., None] if x.ndim == 3 else x), y.reshape(-1)
