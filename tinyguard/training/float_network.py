# SPDX-License-Identifier: Apache-2.0
"""A float network in training: a PyTorch module, or a Keras model on its torch back end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
import torch

from tinyguard.attacks.space import Space, continuous
from tinyguard.data.pixel_normalization import UNIT
from tinyguard.errors import TinyguardError
from tinyguard.quiet import one_line
from tinyguard.sources.exit_order import by_depth
from tinyguard.sources.one_output import check_exits, find_output
from tinyguard.sources.torch_module import WithoutEndings, two_classes
from tinyguard.tflite.metadata import Normalization
from tinyguard.training.trainable_network import State

_PIXELS = 255


class FloatNetwork:
    """`module` on pixels of `shape` (channels last), normalised as `normalization` has it.

    With `channels_first` the module takes (N, channels, ...), PyTorch's layout; `state` gives its variables
    by name, the module's own state where it is None. A final softmax or sigmoid is looked through: logits are
    what it was given; those of a single element x are (0, x). `output` is the name or number of the output
    that is trained, where there are several, and afterwards its number. With `exits` all outputs are trained,
    those first that need the fewest operations, and the network is a `MultiExitNetwork`.

    `bfloat16` runs convolutions and matrices in that precision, twice as fast on a CPU that has it; weights,
    losses and sums over batches stay float32. Attacks see the network in inference mode, as it is deployed;
    batch norms take their statistics from the batches trained on, adversarial ones.

    Raises TinyguardError for a module that does not take such samples or has no such output.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        shape: tuple[int, ...],
        *,
        channels_first: bool = True,
        normalization: Normalization | None = None,
        bfloat16: bool = False,
        state: Callable[[], State] | None = None,
        output: str | int | None = None,
        exits: bool = False,
    ) -> None:
        self.module, self.shape, self.bfloat16 = module, shape, bfloat16
        self.channels_first = channels_first and len(shape) > 1
        self._state = state
        self.space: Space = continuous(shape)
        self._gain, self._bias = self._affine(normalization or UNIT)
        if self.channels_first and len(shape) == 3 and shape[-1] > 1:
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.outputs = self._find(output, exits)
        self._exits = exits
        self._network = WithoutEndings(module, self.outputs)
        self.classes = self._classes()

    @property
    def output(self) -> int:
        """The number of the output that is trained; of the deepest exit."""
        return self.outputs[-1]

    @property
    def exits(self) -> int:
        """How many outputs are trained."""
        return len(self.outputs)

    def laid_out(self, arrays: torch.Tensor) -> torch.Tensor:
        x = arrays.to(torch.float32) / _PIXELS
        return x.movedim(-1, 1) if self.channels_first else x

    def attacked(self) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda x: self._run(x, training=False)

    def attacked_at(self, place: int) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda x: self._each(x, training=False)[place]

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        return self._run(x, training=True)

    def last_matrices(self) -> list[torch.Tensor]:
        with torch.enable_grad():
            return [_last_matrix(logits) for logits in self._each(self._example(), training=True)]

    def weights(self) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        return [p for p in self.module.parameters() if p.requires_grad], []

    def rebuild(self) -> None:
        """Nothing is kept of earlier weights."""

    def state(self) -> State:
        tensors: State = self.module.state_dict() if self._state is None else self._state()
        return tensors

    @torch.no_grad()
    def load(self, state: State) -> None:
        for name, value in self.state().items():
            value.copy_(state[name])

    def _run(self, x: torch.Tensor, training: bool) -> torch.Tensor:
        logits = self._each(x, training)
        return torch.stack(logits, 1) if self._exits else logits[0]

    def _each(self, x: torch.Tensor, training: bool) -> list[torch.Tensor]:
        """The logits (N, classes) of every output that is trained."""
        if self.module.training != training:
            self.module.train(training)
        trained = [p for p in self.module.parameters() if p.requires_grad] if not training else []
        for parameter in trained:
            parameter.requires_grad_(False)
        try:
            with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
                logits = self._network(x * self._gain + self._bias)
            return [two_classes(each.float().flatten(1)) for each in logits]
        finally:
            for parameter in trained:
                parameter.requires_grad_(True)

    def _affine(self, normalization: Normalization) -> tuple[torch.Tensor, torch.Tensor]:
        """Gain and bias per channel from [0, 1] pixels to the values that the network takes."""
        mean, std = (np.array(v, np.float32) for v in (normalization.mean, normalization.std))
        if len(mean) not in (1, self.shape[-1]):
            raise TinyguardError(
                f"the normalisation is for {len(mean)} channels and the data has {self.shape[-1]}: "
                "name another --normalization"
            )
        sizes = (-1, *[1] * (len(self.shape) - 1)) if self.channels_first else (-1,)
        return torch.from_numpy(_PIXELS / std).reshape(sizes), torch.from_numpy(-mean / std).reshape(sizes)

    def _find(self, wanted: str | int | None, exits: bool) -> tuple[int, ...]:
        training = self.module.training
        self.module.eval()
        try:
            x = self._example() * self._gain + self._bias
            with torch.no_grad():
                outputs = self.module(x)
        except Exception as error:
            raise TinyguardError(
                f"the network takes no samples of {self.shape} ({one_line(error)}): give data of the "
                "shape that it was made for"
            ) from None
        finally:
            self.module.train(training)
        if not exits:
            return (find_output(outputs, wanted),)
        check_exits(outputs)
        return by_depth(self.module, x)

    def _example(self) -> torch.Tensor:
        return self.laid_out(torch.zeros(2, *self.shape, dtype=torch.uint8))

    def _classes(self) -> int:
        with torch.no_grad():
            logits = self._run(self._example(), training=False)
        if len(logits) != 2 or logits.shape[-1] < 2:
            raise TinyguardError(
                f"the network returns {tuple(logits.shape)} for two samples: a classifier is needed"
            )
        return int(logits.shape[-1])


def _last_matrix(logits: torch.Tensor) -> torch.Tensor:
    """The weights that are nearest to `logits` on the way back."""
    nodes = deque([logits.grad_fn])
    while nodes:
        node = nodes.popleft()
        weights: torch.Tensor | None = getattr(node, "variable", None)
        if weights is not None and weights.ndim > 1:
            return weights
        nodes.extend(before for before, _ in (node.next_functions if node else ()))
    raise TinyguardError("exits-lw needs a dense layer or a convolution before every exit")
