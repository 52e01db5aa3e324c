# SPDX-License-Identifier: Apache-2.0
"""Pixel Defend on stored inputs: what is read, what it cost, and the file that is written."""

from __future__ import annotations

import io
import json
import os
import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinyguard.data import Shares, load_data
from tinyguard.data.shares import whole_steps
from tinyguard.defenses import compiled_pixel_defend
from tinyguard.defenses.pixel_cnn import PixelCNN
from tinyguard.defenses.pixel_defend import PurificationCost, check_images, purification_cost, purify
from tinyguard.defenses.pixel_likelihood import bits_per_dimension
from tinyguard.errors import TinyguardError
from tinyguard.files import write_atomically
from tinyguard.robustness.budget import check_eps, parse_eps
from tinyguard.robustness.stored_inputs import Adversarial, load_adversarial

_PIXELS = Shares((1 / 255,), (128 / 255,), (-128,), (127,))
_THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")


@dataclass(frozen=True, eq=False)
class Purification:
    """Purified int8 codes `x` (N, height, width, channels) and the figures of a run.

    Bits per dimension are means over all samples; `seconds_an_image` counts the `samples_purified` alone,
    on `threads`, without a C compiler those that NumPy's BLAS may use.
    """

    x: np.ndarray
    samples_purified: int
    eps_codes: int
    adaptive_bits: float | None
    bits_before: float
    bits_after: float
    seconds_an_image: float
    threads: int
    batch_size: int
    cost: PurificationCost

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {
            "samples": len(self.x),
            "samples_purified": self.samples_purified,
            "eps_codes": self.eps_codes,
            "adaptive_bits": self.adaptive_bits,
            "bits_per_dimension_before": self.bits_before,
            "bits_per_dimension_after": self.bits_after,
            "seconds_an_image": self.seconds_an_image,
            "threads": self.threads,
            "batch_size": self.batch_size,
            "an_image": {**asdict(self.cost), "total_macs": self.cost.total_macs},
        }


def whole_codes(eps: str) -> int:
    """`38/255`, `0.03` or `2codes` as whole codes of a pixel. Raises TinyguardError for less than one."""
    fraction = parse_eps(eps, _PIXELS)
    check_eps(fraction, "linf")
    codes = int(whole_steps(fraction, np.array(1 / 255)))
    if codes == 0:
        raise TinyguardError(f"eps {eps} is under one code, which is 1/255: type --eps 38/255")
    return codes


def read_inputs(data: str, network: PixelCNN, limit: int | None) -> Adversarial:
    """What `tinyguard attack -o` wrote, or a DATA argument with labels, as int8 codes of pixels.

    Raises TinyguardError for real values and int16 codes, images of another shape, and no labels.
    """
    if _is_adversarial(Path(data)):
        stored = load_adversarial(Path(data))
        if stored.x.dtype == np.uint8:
            raise TinyguardError(
                f"{data} has a success per sample and uint8 pixels: save int8 codes, pixel - 128"
            )
        if len(stored.x) == 0:
            raise TinyguardError(f"{data} holds no inputs: attack at least one sample")
    else:
        stored = _labelled(data, network)
    check_images(network, stored.x)
    rows = slice(limit)
    targets = None if stored.targets is None else stored.targets[rows]
    x, y, success, ids = stored.x[rows], stored.y[rows], stored.success[rows], stored.ids[rows]
    return Adversarial(x, y, success, ids, targets, stored.model_sha256, stored.record)


def _is_adversarial(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return "success.npy" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def _labelled(data: str, network: PixelCNN) -> Adversarial:
    samples = load_data(data)
    if samples.y is None:
        raise TinyguardError(f"{data} has no labels y, which scoring needs: save them beside x")
    x = samples.x[..., None] if (*samples.x.shape[1:], 1) == network.shape else samples.x
    codes = (x ^ np.uint8(128)).view(np.int8) if x.dtype == np.uint8 else x
    return Adversarial(codes, samples.y, np.zeros(len(codes), bool), np.arange(len(codes)))


def run_purification(
    network: PixelCNN,
    codes: np.ndarray,
    eps_codes: int,
    *,
    adaptive_bits: float | None = None,
    batch_size: int = 128,
    progress: Callable[[int], None] = lambda done: None,
) -> Purification:
    """Purify int8 codes (N, height, width, channels) and take the time. `progress`: as `purify` has it."""
    before = bits_per_dimension(network, codes)
    began = time.perf_counter()
    chosen = np.ones(len(codes), bool) if adaptive_bits is None else before > adaptive_bits
    purified = codes.copy()
    purified[chosen] = purify(network, codes[chosen], eps_codes, batch=batch_size, progress=progress)
    seconds, moved = time.perf_counter() - began, int(chosen.sum())
    return Purification(
        x=purified,
        samples_purified=moved,
        eps_codes=eps_codes,
        adaptive_bits=adaptive_bits,
        bits_before=float(before.mean()),
        bits_after=float(bits_per_dimension(network, purified).mean()),
        seconds_an_image=seconds / max(1, moved),
        threads=1 if compiled_pixel_defend.available() else _threads(),
        batch_size=batch_size,
        cost=purification_cost(network, eps_codes),
    )


def _threads() -> int:
    for variable in _THREAD_VARIABLES:
        if os.environ.get(variable, "").isdecimal():
            return int(os.environ[variable])
    return len(os.sched_getaffinity(0))


def save_purified(path: Path, inputs: Adversarial, purification: Purification) -> None:
    """Write the purified codes with the labels, successes and ids of `inputs`, as `load_adversarial` reads
    them; what was done is `purification` in the record."""
    record = {**(inputs.record or {}), "purification": purification.as_dict()}
    arrays: dict[str, Any] = {
        "x": purification.x,
        "y": inputs.y,
        "success": inputs.success,
        "ids": inputs.ids,
        "record": np.array(json.dumps(record)),
    }
    if inputs.targets is not None:
        arrays["targets"] = inputs.targets
    if inputs.model_sha256 is not None:
        arrays["model_sha256"] = np.array(inputs.model_sha256)
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    write_atomically(path, stream.getvalue())
