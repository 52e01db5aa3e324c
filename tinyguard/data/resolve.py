# SPDX-License-Identifier: Apache-2.0
"""DATA arguments: `digits`, `cifar10:train`, `cifar10:test:/path`, `samples.npz`, `folder/`."""

from collections.abc import Sequence
from pathlib import Path

from tinyguard.data.arrays import check, load_npz
from tinyguard.data.folder import load_folder
from tinyguard.data.named import NAMES, SPLITS, load_named
from tinyguard.data.samples import Samples
from tinyguard.errors import TinyguardError
from tinyguard.graph import Tensor


def load_data(
    text: str,
    tensor: Tensor | None = None,
    *,
    split: str = "test",
    limit: int | None = None,
    class_names: Sequence[str] | None = None,
    classes: int | None = None,
    real_targets: bool = False,
) -> Samples:
    """The samples that a DATA argument names, checked against the network's input `tensor` where it is given.

    `split` is meant where a built-in name has none of its own; `class_names` order the labels of a
    folder; labels must lie below `classes`. `real_targets`: an .npz may have real values in a label's place.
    Raises TinyguardError for everything wrong with the data.
    """
    shape = None if tensor is None else tuple(tensor.shape[1:])
    samples = _load(text, shape, split, limit, class_names, real_targets)
    return check(samples.first(limit), shape, classes)


def _load(
    text: str,
    shape: tuple[int, ...] | None,
    split: str,
    limit: int | None,
    class_names: Sequence[str] | None,
    real_targets: bool,
) -> Samples:
    name, *rest = text.split(":", 2)
    if name in NAMES:
        if rest and rest[0] in SPLITS:
            split, rest = rest[0], rest[1:]
        local = Path(":".join(rest)) if rest else None
        if local is not None and (name == "digits" or not local.exists()):
            raise TinyguardError(
                f"{text} names no split and no existing path: type {name}:train or {name}:test"
            )
        return load_named(name, split, local)
    path = Path(text)
    if path.is_dir():
        return load_folder(path, shape, class_names, limit)
    if path.is_file() and path.suffix == ".npz":
        return load_npz(path, real_targets)
    what = "is neither .npz nor a folder" if path.exists() else "is not there"
    raise TinyguardError(
        f"data {text} {what}: give an .npz, a folder of class folders, or {', '.join(NAMES)}"
    )
