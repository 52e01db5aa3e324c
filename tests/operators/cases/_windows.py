# SPDX-License-Identifier: Apache-2.0
"""Random windows for convolutions and pooling."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyguard.operators.families import window


@dataclass(frozen=True)
class Windows:
    """Input size, kernel, stride, dilation and output size, rows before columns."""

    size: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: str
    output: tuple[int, int]

    @property
    def options(self) -> dict[str, Any]:
        return {"padding": self.padding, "stride_h": self.stride[0], "stride_w": self.stride[1]}

    @property
    def dilations(self) -> dict[str, Any]:
        return {"dilation_h_factor": self.dilation[0], "dilation_w_factor": self.dilation[1]}


def _pair(values: np.ndarray) -> tuple[int, int]:
    return int(values[0]), int(values[1])


def draw_windows(rng: np.random.Generator, dilated: bool = True) -> Windows:
    """Kernels up to 5, strides up to 3, dilations up to 3; with SAME also inputs below the kernel."""
    padding = str(rng.choice(["SAME", "VALID"]))
    kernel = rng.integers(1, 6, 2)
    stride = rng.integers(1, 4, 2)
    dilation = rng.integers(1, 4, 2) if dilated and rng.random() < 0.4 else np.ones(2, int)
    least = (kernel - 1) * dilation + 1 if padding == "VALID" else np.ones(2, int)
    size = least + rng.integers(0, 8, 2)
    output = [
        window.axis(int(size[k]), int(kernel[k]), int(stride[k]), int(dilation[k]), padding).output
        for k in (0, 1)
    ]
    return Windows(
        _pair(size), _pair(kernel), _pair(stride), _pair(dilation), padding, (output[0], output[1])
    )
