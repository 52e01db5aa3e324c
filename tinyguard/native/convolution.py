# SPDX-License-Identifier: Apache-2.0
"""Convolutions of codes in C, for x86 processors with AVX2: `convolve.c`."""

from __future__ import annotations

import ctypes
from ctypes import c_int32, c_size_t

import numpy as np
import torch

from tinyguard.native.loops import Rule, call
from tinyguard.native.shared_library import library

LARGEST_SUM = 2**31 - 1
_LANES = 8  # output channels of one register


def multiplies_pairs() -> bool:
    """Whether this processor and library have such convolutions."""
    loaded = library()
    return loaded is not None and bool(loaded.tg_multiplies_pairs())


class _Shape(ctypes.Structure):
    _fields_ = tuple(
        (name, c_int32)
        for name in (
            *("input_height", "input_width", "channels", "pairs"),
            *("output_height", "output_width", "output_channels", "blocks"),
            *("kernel_height", "kernel_width", "stride_height", "stride_width"),
            *("dilation_height", "dilation_width"),
            *("pad_top", "pad_left", "padded_height", "padded_width", "zero_point"),
        )
    )


class PairConvolution:
    """Codes (M, H, W, C), of 8 or 16 bits in float32, with int8 weights (O, KH, KW, C).

    `windows` are the sizes, strides and padding of `convolve.c` by their names there. No sum, with `bias`
    (int64, one per output channel), may pass LARGEST_SUM. Ask `multiplies_pairs` first.
    """

    def __init__(self, weights: np.ndarray, bias: np.ndarray, windows: dict[str, int]) -> None:
        channels, depth = weights.shape[0], weights.shape[3]
        self.pairs, self.blocks = -(-depth // 2), -(-channels // _LANES)
        self.output = windows["output_height"], windows["output_width"], channels
        self._shape = _Shape(
            **windows,
            channels=depth,
            output_channels=channels,
            pairs=self.pairs,
            blocks=self.blocks,
        )
        self._weights = self._packed(weights)
        self._bias = np.zeros(_LANES * self.blocks, np.int32)
        self._bias[:channels] = bias
        loaded = library()
        assert loaded is not None
        self._scratch = int(loaded.tg_convolution_scratch(ctypes.byref(self._shape)))

    def _packed(self, weights: np.ndarray) -> np.ndarray:
        """int16 pairs of input channels, those of two registers of output channels after each other, then
        those of the last one where their number is odd."""
        channels, *kernel, depth = weights.shape
        padded = np.zeros((_LANES * self.blocks, *kernel, 2 * self.pairs), np.int16)
        padded[:channels, ..., :depth] = weights
        taps = padded.reshape(len(padded), -1, 2)
        whole = len(taps) // (2 * _LANES) * 2 * _LANES
        parts = (taps[:whole], 2 * _LANES), (taps[whole:], _LANES)
        laid = [part.reshape(-1, lanes, *part.shape[1:]).swapaxes(1, 2).ravel() for part, lanes in parts]
        return np.concatenate(laid)

    def codes(self, x: torch.Tensor, rule: Rule, outside: bool) -> tuple[torch.Tensor, torch.Tensor | None]:
        """float32 codes (M, *output), and on request whether the clamp holds each, bool (rows, O)."""
        output = torch.empty((len(x), *self.output))
        flags = torch.empty((output[..., 0].numel(), self.output[-1]), dtype=torch.bool) if outside else None
        scratch = torch.empty(self._scratch, dtype=torch.int16)
        arrays = (ctypes.c_void_p(array.ctypes.data) for array in (self._weights, self._bias))
        shape, in_c = ctypes.byref(self._shape), ctypes.byref(rule.in_c)
        call("tg_convolve", shape, in_c, *arrays, x, output, flags, scratch, c_size_t(len(x)))
        return output, flags
