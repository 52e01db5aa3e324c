# SPDX-License-Identifier: Apache-2.0
"""The one seam: a back end maps input codes to outputs, and attacks, filters and metrics see only that."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np


class Backend(Protocol):
    """Anything that runs the network.

    `run` takes one array per graph input, shape (N, *tensor.shape[1:]): integer codes in the input's
    dtype, batch first, and returns one such array per graph output.
    """

    @property
    def name(self) -> str: ...

    def run(self, *inputs: np.ndarray) -> tuple[np.ndarray, ...]: ...


@runtime_checkable
class OpenBackend(Backend, Protocol):
    """One that shows the tensors inside the network too."""

    def read(self, indices: Sequence[int], *inputs: np.ndarray) -> dict[int, np.ndarray]:
        """Some computed tensors by their indices, shape (N, *tensor.shape), in their own dtypes."""
        ...
