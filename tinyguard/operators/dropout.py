# SPDX-License-Identifier: Apache-2.0
"""DROPOUT: Bernoulli masks on a feature map, for Monte Carlo dropout inside the integer network.

No .tflite file holds it; `tinyguard harden stochastic` puts it after a layer. Dropped elements become real
0. The factor 1 / (1 - p) of those that stay is in the multiplier of the layer before, whose output scale is
smaller by 1 - p. Element i is dropped where byte i % 16 of Philox4x32-10 is below 256 p; the counter is
(i / 16, site, pass, 0), the key the 64-bit seed. Source: Gal and Ghahramani 2016 (arXiv 1506.02142);
Stochastic-Shield (Qendro et al. 2021, arXiv 2105.06512).
"""

from __future__ import annotations

import functools
from typing import ClassVar

import numpy as np

from tinyguard.arithmetic.philox import philox4x32_arrays
from tinyguard.operators.base import Emission, Operator

BYTES_A_BLOCK = 16
SEED = "seed"  # the setting of that name
RATES = 256  # p is a whole number of 1/256


@functools.lru_cache(maxsize=512)
def kept(seed: int, site: int, run: int, elements: int, dropped: int) -> np.ndarray:
    """bool (elements,): which stay, where `dropped` of 256 go."""
    blocks = np.arange(-(-elements // BYTES_A_BLOCK), dtype=np.uint64)
    zero = np.zeros(1, np.uint64)
    counter = (blocks, zero + np.uint64(site), zero + np.uint64(run), zero)
    words = philox4x32_arrays(counter, (seed & 0xFFFFFFFF, seed >> 32))
    drawn = np.stack(np.broadcast_arrays(*words), axis=1).astype("<u4")
    return drawn.view(np.uint8).reshape(-1)[:elements] >= dropped


class Dropout(Operator):
    """`site` and `run` (the pass) tell masks of one seed apart."""

    names: ClassVar = ("DROPOUT",)
    in_file: ClassVar = False
    reads: ClassVar = (SEED,)

    def prepare(self) -> None:
        source, output = self.input_tensor(0), self.outputs[0]
        self.require_codes(source, output)
        self.require(source.dtype == "int8", f"{source.dtype} codes, int8 is needed")
        self.require(output.shape == source.shape, f"output of shape {output.shape}, expected {source.shape}")
        self.require(output.zero_point == source.zero_point, "an output of another zero point")
        self.site, self.run_number = int(self.option("site")), int(self.option("run", 0))
        self.dropped = int(self.option("dropped"))
        self.require(0 < self.dropped < RATES, f"{self.dropped} of {RATES} dropped")

    def mask(self) -> np.ndarray:
        """bool, of the tensor's shape: what stays."""
        shape = self.outputs[0].shape
        (seed,) = self.setting(SEED)
        flat = kept(seed, self.site, self.run_number, self.outputs[0].elements, self.dropped)
        return flat.reshape(shape)

    def run(self, *inputs: np.ndarray | None) -> tuple[np.ndarray, ...]:
        x = inputs[0]
        assert x is not None
        return (np.where(self.mask(), x, np.array(self.outputs[0].zero_point, x.dtype)),)

    @property
    def in_place(self) -> tuple[int, ...]:
        return (0,)

    def emit(self, c: Emission) -> str:
        return self.emit_call(c, "dropout.h", "tg_dropout_s8")

    def emit_call(self, c: Emission, header: str, function: str) -> str:
        """The call of a function of `header`, which all sites and passes share."""
        output = self.outputs[0]
        c.kernel(header)
        return (
            f"{function}({c.setting(SEED)}, {self.site}, {self.run_number}, {output.elements}, "
            f"{self.dropped}, {output.zero_point}, {c.input(0)}, {c.output()});"
        )
