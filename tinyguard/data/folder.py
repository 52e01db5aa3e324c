# SPDX-License-Identifier: Apache-2.0
"""Samples from a folder of class folders of images, read with Pillow."""

from collections.abc import Sequence
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np

from tinyguard.data.samples import Samples
from tinyguard.errors import TinyguardError

ENDINGS = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}


def load_folder(
    folder: Path, shape: tuple[int, ...] | None, class_names: Sequence[str] | None, limit: int | None
) -> Samples:
    """uint8 pixels (N, height, width, channels), resized bilinearly to `shape` where one is given.

    A class's label is its place in `class_names`, or among the sorted folder names when there are
    none. The order takes one image of each class in turn, so that the first N are balanced.
    """
    folders = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    files = [sorted(file for file in entry.iterdir() if file.suffix.lower() in ENDINGS) for entry in folders]
    if not any(files):
        raise TinyguardError(
            f"{folder} has no images in class folders: lay them out as {folder}/CLASS/image.png"
        )
    if shape is not None and (len(shape) != 3 or shape[2] not in (1, 3)):
        raise TinyguardError(f"{folder} holds images and the network takes {shape}: give the samples as .npz")
    names = [entry.name for entry in folders]
    labels = _labels(names, class_names, folder)
    pairs = [[(file, label) for file in files_] for files_, label in zip(files, labels, strict=True)]
    order = [pair for pair in chain.from_iterable(zip_longest(*pairs)) if pair is not None][:limit]
    images = [_read(file, shape) for file, _ in order]
    sizes = {image.shape for image in images}
    if len(sizes) > 1:
        raise TinyguardError(f"the images in {folder} have {len(sizes)} sizes: make them one size")
    y = np.array([label for _, label in order], np.int64)
    return Samples(np.stack(images), y, tuple(class_names or names), str(folder))


def _labels(names: list[str], class_names: Sequence[str] | None, folder: Path) -> list[int]:
    if class_names is None:
        return list(range(len(names)))
    for name in names:
        if name not in class_names:
            raise TinyguardError(
                f"folder {folder / name} is no class of the network: name the folders "
                f"{', '.join(class_names)}"
            )
    return [list(class_names).index(name) for name in names]


def _read(path: Path, shape: tuple[int, ...] | None) -> np.ndarray:
    try:
        from PIL import Image
    except ImportError:
        raise TinyguardError("image folders need Pillow: type pip install 'tinyguard[data]'") from None
    try:
        with Image.open(path) as stored:
            picture = stored.convert("L" if shape is not None and shape[2] == 1 else "RGB")
            if shape is not None and picture.size != (shape[1], shape[0]):
                picture = picture.resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
            pixels = np.asarray(picture)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise TinyguardError(f"{path} is no readable image ({type(error).__name__}): remove it") from None
    return pixels if pixels.ndim == 3 else pixels[..., None]
