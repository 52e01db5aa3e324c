# SPDX-License-Identifier: Apache-2.0
"""Input filters: operators that no .tflite file holds, put before the first layer by the file's metadata.

A filter maps int8 codes to int8 codes of the same scale and zero point, so that the network after it needs
no change. It sees an image (height, width, channels), each channel on its own; a series (time, channels) or
(time,) is an image of one row, which makes every filter's 1-D form. Beyond the borders the outermost codes go
on (replicated borders).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from tinyguard.operators.base import Operator


class Filter(Operator):
    """Base of the filters. `height`, `width` and `channels` are the input's, in elements."""

    in_file: ClassVar = False

    def prepare(self) -> None:
        source, output = self.input_tensor(0), self.outputs[0]
        self.require(source.dtype == "int8", f"{source.dtype} input, and filters take int8 codes")
        shape = source.shape[1:]
        self.require(
            1 <= len(shape) <= 3,
            f"input of shape {source.shape}, and filters take images (1, height, width, channels) or series "
            "(1, time, channels)",
        )
        self.require(source.elements > 0, f"input of shape {source.shape}")
        self.require(
            output.shape == source.shape and output.quantization == source.quantization,
            "an output unlike the input",
        )
        padded = (1, *shape, 1) if len(shape) == 1 else (1, *shape) if len(shape) == 2 else shape
        self.height, self.width, self.channels = padded
        self.prepare_filter()

    @abstractmethod
    def prepare_filter(self) -> None:
        """Check the parameters; raise Unsupported."""

    @abstractmethod
    def filtered(self, images: np.ndarray) -> np.ndarray:
        """int8 codes (N, height, width, channels) of int8 codes."""

    def run(self, *inputs: np.ndarray | None) -> tuple[np.ndarray, ...]:
        x = inputs[0]
        assert x is not None
        images = x.reshape(-1, self.height, self.width, self.channels)
        return (self.filtered(images).reshape(x.shape),)

    def number(self, name: str, allowed: range | tuple[int, ...]) -> int:
        """The filter's parameter `name`, which must be one of `allowed`."""
        value = self.option(name)
        known = (
            f"{allowed[0]} to {allowed[-1]}" if isinstance(allowed, range) else ", ".join(map(str, allowed))
        )
        self.require(type(value) is int and value in allowed, f"{name} {value}, and it takes {known}")
        return int(value)
