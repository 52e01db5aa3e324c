# SPDX-License-Identifier: Apache-2.0
"""A small PixelCNN: the probability of every pixel given those before it, in NumPy, the same in every order.

Masked convolutions of type A (first layer: without the pixel itself) and B (the others: with it), after van
den Oord et al. (arXiv 1601.06759, 1606.05328). The output is a discretised mixture of logistics, and the
order red, green, blue inside a pixel is in the mixture's means, as in Salimans et al., "PixelCNN++" (arXiv
1701.05517, equations 2 and 3): one evaluation per pixel serves its three channels.

Images are int8 codes (N, height, width, channels), pixel - 128. Weights lie on a grid of 1/4096 and
activations on one of 1/1024, so that float64 holds every sum exactly: the mixture's parameters do not depend
on the batch, on the number of threads, or on whether one pixel or the whole image is computed.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyguard.errors import TinyguardError
from tinyguard.files import write_atomically

WEIGHT_STEP = 1 / 4096
ACTIVATION_STEP = 1 / 1024
LARGEST_ACTIVATION = 1024.0  # 2**20 steps x 2**15 weight steps x 2**10 terms and their sums stay under 2**53
LEAST_LOG_SCALE = -7.0
FORMAT = "tinyguard pixel-cnn 1"


def masked_taps(kernel: int, type_b: bool) -> tuple[tuple[int, int], ...]:
    """(down, across) of the inputs that a masked kernel of an odd size sees, in raster order."""
    reach = kernel // 2
    window = [(down, across) for down in range(-reach, 1) for across in range(-reach, reach + 1)]
    return tuple(tap for tap in window if tap < (0, 0) or (type_b and tap == (0, 0)))


def parameter_counts(channels: int) -> tuple[int, int, int, int]:
    """Parameters a component: weight, means, log scales, links to the earlier channels of the pixel."""
    return 1, channels, channels, channels * (channels - 1) // 2


def split_parameters(
    network: PixelCNN, parameters: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A network's output, float64 (..., parameters), as weights (..., K), means and log scales
    (..., channels, K) and links (..., pairs of channels, K); no log scale is under LEAST_LOG_SCALE."""
    mixtures, counts = network.mixtures, parameter_counts(network.shape[2])
    leading = parameters.shape[:-1]
    parts = np.split(parameters, np.cumsum([mixtures * count for count in counts[:-1]]), axis=-1)
    weights, means, log_scales, links = (
        part.reshape(*leading, count, mixtures) for part, count in zip(parts, counts, strict=True)
    )
    return weights[..., 0, :], means, np.maximum(log_scales, LEAST_LOG_SCALE), links


def linked_means(means: np.ndarray, links: np.ndarray, channel: int, codes: np.ndarray) -> np.ndarray:
    """The means (..., channels, K) once a channel has `codes` (...): later ones move by links times it."""
    moved = means.copy()
    for later in range(channel + 1, means.shape[-2]):
        link = later * (later - 1) // 2 + channel
        moved[..., later, :] += links[..., link, :] * (codes[..., None] / 128)
    return moved


@dataclass(frozen=True, eq=False)
class MaskedConvolution:
    """`weights` float64 (taps * inputs, outputs) and `bias` (outputs,), multiples of WEIGHT_STEP."""

    taps: tuple[tuple[int, int], ...]
    weights: np.ndarray
    bias: np.ndarray

    @classmethod
    def rounded(
        cls, taps: tuple[tuple[int, int], ...], weights: np.ndarray, bias: np.ndarray
    ) -> MaskedConvolution:
        """The layer with real weights put on the grid, as int16 holds it."""
        weights, bias = (
            np.clip(np.rint(array / WEIGHT_STEP), -32768, 32767) * WEIGHT_STEP for array in (weights, bias)
        )
        return cls(taps, weights, bias)

    @property
    def reach(self) -> int:
        return max(-min(self.taps)[0], max(across for _, across in self.taps))

    def __call__(self, seen: np.ndarray) -> np.ndarray:
        """float64 (..., taps * inputs) to (..., outputs) on the grid of activations."""
        sums = seen @ self.weights + self.bias
        return np.clip(
            np.rint(sums / ACTIVATION_STEP) * ACTIVATION_STEP, -LARGEST_ACTIVATION, LARGEST_ACTIVATION
        )

    def whole(self, x: np.ndarray) -> np.ndarray:
        """The layer on whole images (N, height, width, inputs), zeros around them."""
        reach, (_, height, width, _) = self.reach, x.shape
        padded = np.pad(x, ((0, 0), (reach, 0), (reach, reach), (0, 0)))
        return self(
            np.concatenate(
                [
                    padded[:, reach + down : reach + down + height, reach + across : reach + across + width]
                    for down, across in self.taps
                ],
                axis=-1,
            )
        )


@dataclass(frozen=True, eq=False)
class PixelCNN:
    """`shape` (height, width, channels) of one image; residual `blocks` of a wide and a 1x1 convolution."""

    shape: tuple[int, int, int]
    mixtures: int
    first: MaskedConvolution
    blocks: tuple[tuple[MaskedConvolution, MaskedConvolution], ...]
    last: MaskedConvolution

    @property
    def layers(self) -> tuple[MaskedConvolution, ...]:
        return (self.first, *(layer for block in self.blocks for layer in block), self.last)

    @property
    def macs_per_pixel(self) -> int:
        """Multiplications of one evaluation at one pixel, masked ones left out."""
        return sum(layer.weights.size for layer in self.layers)

    def parameters(self, codes: np.ndarray) -> np.ndarray:
        """int8 codes (N, height, width, channels) to float64 (N, height, width, mixture's parameters)."""
        h = self.first.whole(network_input(codes))
        for wide, narrow in self.blocks:
            h = h + narrow(np.maximum(wide.whole(np.maximum(h, 0)), 0))
        return self.last(np.maximum(h, 0))


def network_input(codes: np.ndarray) -> np.ndarray:
    """int8 codes (..., channels) to float64 (..., channels + 1): code / 128, and ones that tell borders."""
    return np.concatenate([codes / 128.0, np.ones((*codes.shape[:-1], 1))], axis=-1)


def save_pixel_cnn(path: Path, network: PixelCNN) -> None:
    """Write plain arrays: format, shape, mixtures, kernels, and int16 weights0, bias0, weights1, ..."""
    arrays = {
        "format": np.array(FORMAT),
        "shape": np.array(network.shape),
        "mixtures": np.array(network.mixtures),
        "kernels": np.array([2 * layer.reach + 1 for layer in network.layers]),
    }
    for index, layer in enumerate(network.layers):
        arrays[f"weights{index}"] = (layer.weights / WEIGHT_STEP).astype(np.int16)
        arrays[f"bias{index}"] = (layer.bias / WEIGHT_STEP).astype(np.int16)
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    write_atomically(path, stream.getvalue())


def load_pixel_cnn(path: Path) -> PixelCNN:
    """Read what `save_pixel_cnn` wrote. Raises TinyguardError for files that hold something else."""
    try:
        with zipfile.ZipFile(path):  # numpy.load takes other files too
            pass
        with np.load(path, allow_pickle=False) as stored:
            if str(stored.get("format")) != FORMAT:
                raise TinyguardError(f"{path} holds no PixelCNN of this version: {_REMEDY}")
            return _network(stored, path)
    except FileNotFoundError:
        raise TinyguardError(f"{path}: no such file: {_REMEDY}") from None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise TinyguardError(f"{path} cannot be read ({type(error).__name__}): {_REMEDY}") from None


_REMEDY = "give the weights that models/digits/pixel_cnn.py or models/resnet8-cifar10/pixel_cnn.py writes"


def _network(stored: np.lib.npyio.NpzFile, path: Path) -> PixelCNN:
    height, width, channels = map(int, stored["shape"])
    mixtures, kernels = int(stored["mixtures"]), [int(kernel) for kernel in stored["kernels"]]
    layers, inputs = [], channels + 1
    for index, kernel in enumerate(kernels):
        weights, bias = stored[f"weights{index}"], stored[f"bias{index}"]
        taps = masked_taps(kernel, type_b=index > 0)
        if weights.dtype != np.int16 or weights.shape != (len(taps) * inputs, bias.size) or bias.ndim != 1:
            raise TinyguardError(f"{path}: layer {index} has weights {weights.shape}: {_REMEDY}")
        layers.append(MaskedConvolution(taps, weights * WEIGHT_STEP, bias * WEIGHT_STEP))
        inputs = bias.size
    if len(layers) % 2 or inputs != mixtures * sum(parameter_counts(channels)) or min(height, width) < 1:
        raise TinyguardError(f"{path}: its layers do not make a PixelCNN: {_REMEDY}")
    blocks = tuple(zip(layers[1:-1:2], layers[2:-1:2], strict=True))
    return PixelCNN((height, width, channels), mixtures, layers[0], blocks, layers[-1])
