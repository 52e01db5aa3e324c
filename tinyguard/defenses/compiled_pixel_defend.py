# SPDX-License-Identifier: Apache-2.0
"""Pixel Defend in C, `native/purify.c`, on the weights of a PixelCNN."""

from __future__ import annotations

import ctypes
from ctypes import c_double, c_int32, c_size_t, c_void_p

import numpy as np

from tinyguard.defenses.pixel_cnn import (
    ACTIVATION_STEP,
    LARGEST_ACTIVATION,
    LEAST_LOG_SCALE,
    MaskedConvolution,
    PixelCNN,
)
from tinyguard.native.shared_library import library

_COLUMNS = 8  # of outputs, which are padded to these


class _Layer(ctypes.Structure):
    _fields_ = (
        *((name, c_void_p) for name in ("weights", "bias", "taps", "seen")),
        *((name, c_int32) for name in ("tap_count", "inputs", "outputs", "reach")),
    )


class _Network(ctypes.Structure):
    _fields_ = (
        *((name, c_void_p) for name in ("layers", "hidden", "wide", "narrow")),
        *((name, c_int32) for name in ("layer_count", "height", "width", "channels", "mixtures")),
        *((name, c_double) for name in ("activation_steps", "largest_activation", "least_log_scale")),
    )


def available() -> bool:
    """Whether `purified` can run here."""
    return library() is not None


def most_lanes() -> int:
    """How many doubles this processor's vectors hold."""
    loaded = library()
    assert loaded is not None
    return int(loaded.tg_purify_lanes())


def purified(network: PixelCNN, codes: np.ndarray, eps_codes: int, lanes: int | None = None) -> np.ndarray:
    """Int8 codes (N, height, width, channels) within `eps_codes` of those given, as `pixel_defend` has it.

    `lanes`: how many images go through together, by default `most_lanes`.
    """
    lanes = lanes or most_lanes()
    kept: list[np.ndarray] = []  # what the structures point to

    def pointer(values: np.ndarray) -> int:
        kept.append(np.ascontiguousarray(values))
        return kept[-1].ctypes.data

    def in_c(layer: MaskedConvolution, sees_others: bool) -> _Layer:
        inputs, outputs = len(layer.weights) // len(layer.taps), layer.bias.size
        more = -outputs % _COLUMNS
        reach, (height, width, _) = layer.reach, network.shape
        return _Layer(
            pointer(np.pad(layer.weights, ((0, 0), (0, more)))),
            pointer(np.pad(layer.bias, (0, more))),
            pointer(np.array(layer.taps, np.int32)),
            pointer(np.zeros((height + reach, width + 2 * reach, lanes, inputs))) if sees_others else None,
            *(len(layer.taps), inputs, outputs + more, reach),
        )

    blocks = [in_c(*layer) for wide, narrow in network.blocks for layer in ((wide, True), (narrow, False))]
    layers = [in_c(network.first, True), *blocks, in_c(network.last, False)]
    most = max(layer.outputs for layer in layers)
    said = _Network(
        ctypes.cast((_Layer * len(layers))(*layers), c_void_p),
        *(pointer(np.zeros((lanes, most))) for _ in range(3)),
        *(len(layers), *network.shape, network.mixtures),
        *(1 / ACTIVATION_STEP, LARGEST_ACTIVATION, LEAST_LOG_SCALE),
    )
    codes, moved = np.ascontiguousarray(codes), np.empty(codes.shape, np.int8)
    loaded = library()
    assert loaded is not None
    purify = getattr(loaded, f"tg_purify_{lanes}")
    purify(
        ctypes.byref(said),
        c_void_p(codes.ctypes.data),
        c_void_p(moved.ctypes.data),
        c_size_t(len(codes)),
        c_int32(eps_codes),
    )
    return moved
