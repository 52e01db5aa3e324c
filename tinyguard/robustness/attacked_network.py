# SPDX-License-Identifier: Apache-2.0
"""An opened network under attack: the exact simulator, what scores it, and where inputs may lie."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tinyguard.backends import Backend
from tinyguard.backends.choose import HOST_BACKENDS, open_backend
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph, with_settings
from tinyguard.graph.answer import class_count
from tinyguard.graph.exit_policy import only_exit
from tinyguard.graph.multi_exit import check_exits, exit_tensors
from tinyguard.tflite import read_graph, read_metadata
from tinyguard.tflite.metadata import Metadata, Normalization

if TYPE_CHECKING:
    from tinyguard.attacks.eot import EOTVictim
    from tinyguard.attacks.exit_goals import Goal
    from tinyguard.attacks.fresh_masks import FreshMasks
    from tinyguard.attacks.space import Space
    from tinyguard.attacks.victim import IntegerVictim
    from tinyguard.robustness.transfer import Source
    from tinyguard.simulator.network import Simulator

SHOWS = ("output", "logits", "exit", "decision")
DETECTORS = ("aware", "ignored")
TARGET_BACKENDS = (*HOST_BACKENDS, "xnnpack", "float")


@dataclass(frozen=True, eq=False)
class Target:
    """`backend` gives every final figure; `simulator` the gradients. `space` is where the attacker may put
    inputs of `backend`. `show`: what score attacks see, one of SHOWS.

    `float_victim` is the float source, off the grid (the mean of several), or None where none was given;
    `source` is what was typed for it. `masks`: how an attacker draws the masks of a stochastic network that
    he does not know; None where he knows those of the file's seed. `goal`: what attacks on a network with
    exits are after, None where its answer is all that counts; `on` says it as it is typed.
    """

    path: Path
    graph: Graph
    metadata: Metadata | None
    simulator: Simulator
    backend: Backend
    space: Space
    float_victim: Source | None = None
    source: str | None = None
    show: str = "output"
    batch_size: int = 128
    masks: FreshMasks | None = None
    goal: Goal | None = None
    on: str | None = None

    @property
    def normalization(self) -> Normalization | None:
        return self.metadata.normalization if self.metadata else None

    @property
    def is_float(self) -> bool:
        """Whether the float source itself is what is attacked and scored."""
        return isinstance(self.backend, FloatBackend)

    @property
    def classes(self) -> int:
        return class_count(self.graph)

    def victim(self) -> IntegerVictim | EOTVictim | Source:
        """What direct attacks see: gradients of the simulator (or float source), queries of the back end."""
        return self._victim(self.backend)

    def white_box(self) -> IntegerVictim | EOTVictim | Source:
        """As `victim`, with the simulator in the back end's place, which equals it in every byte."""
        return self._victim(None)

    def _victim(self, queried: Backend | None) -> IntegerVictim | EOTVictim | Source:
        from tinyguard.attacks.eot import EOTVictim
        from tinyguard.attacks.victim import IntegerVictim

        if isinstance(self.backend, FloatBackend):
            return self.backend.victim
        if self.masks is not None:
            return EOTVictim(self.simulator, self.space, self.masks, self.show, self.batch_size)
        return IntegerVictim(self.simulator, self.space, queried, self.show, self.batch_size)

    def close(self) -> None:
        """Close the serial port where there is one."""
        close = getattr(self.backend, "close", None)
        if close is not None:
            close()


class FloatBackend:
    """The float source in a back end's place.

    It takes the network's codes, or float32 [0, 1] pixels (N, *shape) where the attack ran off the grid, and
    returns float32 logits (N, classes).
    """

    name = "float"

    def __init__(self, victim: Source) -> None:
        self.victim = victim

    def run(self, *inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        import torch

        (x,) = inputs
        pixels = torch.from_numpy(x) if x.dtype == np.float32 else self.victim.space.shares(x)
        return (self.victim.query(pixels).scores.numpy(),)


def open_target(
    path: Path,
    *,
    backend: str = "simulator",
    source: str | Sequence[str] | None = None,
    grid: str | None = None,
    show: str = "output",
    batch_size: int = 128,
    filter_gradient: str = "smooth",
    detector: str = DETECTORS[0],
    masks: FreshMasks | None = None,
    purify: Callable[[np.ndarray], np.ndarray] | None = None,
    output: str | int | None = None,
    on: str | None = None,
    keep_answer: bool = False,
) -> Target:
    """The network at `path` on a back end of TARGET_BACKENDS or at a serial port.

    `source` is the float network (a file, or `file.py:function`), needed for transfer and for the float
    back end, or several surrogates. `grid` is "codes" or "pixels", None for the default of the input's
    dtype; the float back end is off the grid unless one is named. `filter_gradient`: how gradients pass the
    input filters, as `Simulator.with_filter_gradient` has it. `detector`: whether gradients of a network with
    feature squeezing are "aware" of the squeezed versions, or those of the raw input alone ("ignored").
    `masks`: the attacker of a stochastic network does not know the seed of its masks. `purify`: codes to the
    codes that the simulator is given instead, with a gradient as if it were not there (BPDA). `output`: the
    name or number of the output that is the answer, where there are several. `on`: what attacks on a network
    with exits are after, a goal of `attacks.exit_goals` or exit:N, which answers at that exit alone; the
    answer where None. Raises TinyguardError for what is missing or does not fit.
    """
    require_torch()
    graph, metadata = read_graph(path, output=output), read_metadata(path)
    graph, goal = _aimed(graph, on, keep_answer)
    if show not in SHOWS:
        raise TinyguardError(f"no scores named {show!r}; known: {', '.join(SHOWS)}")
    from tinyguard.attacks.space import space_of
    from tinyguard.attacks.victim import FloatVictim, check_classes
    from tinyguard.robustness.transfer import open_sources, seen_through
    from tinyguard.simulator.network import Simulator

    check_classes(graph)
    _check_masks(masks, graph, backend)
    tensor = graph.tensors[graph.inputs[0]]
    normalization = metadata.normalization if metadata else None
    off_grid = backend == "float" and grid is None
    space = space_of(tensor, normalization, "none" if off_grid else grid)
    simulator = Simulator(graph, batch_size).with_filter_gradient(filter_gradient)
    if detector == "aware":
        simulator = simulator.against_detector()
    if purify is not None:
        simulator = simulator.after(purify)
    sources = [source] if isinstance(source, str) else list(source or ())
    opened = open_sources(sources, graph, normalization, batch_size) if sources else None
    if backend == "float":
        if not isinstance(opened, FloatVictim):
            raise TinyguardError("the float back end needs one float network: type --source FILE")
        scored: Backend = FloatBackend(seen_through(opened, space))
    else:
        scored = simulator if backend == "simulator" else open_scored(backend, path, graph)
    if show == "logits" and backend not in ("simulator", "float"):
        raise TinyguardError(
            f"back end {backend} shows outputs and no logits: leave out --scores logits, or type "
            "--backend simulator"
        )
    return Target(
        path,
        graph,
        metadata,
        simulator,
        scored,
        space,
        opened,
        ", ".join(sources) or None,
        show=show,
        batch_size=batch_size,
        masks=masks,
        goal=goal,
        on=(on or goal.kind) if goal else on,
    )


def _aimed(graph: Graph, on: str | None, keep_answer: bool) -> tuple[Graph, Goal | None]:
    """The network as it is attacked, and what for."""
    from tinyguard.attacks.exit_goals import parse_goal

    if on is None and not keep_answer and not exit_tensors(graph):
        return graph, None
    exits, goal = check_exits(graph), parse_goal(on or "answer", keep_answer)
    if isinstance(goal, int):
        return with_settings(graph, only_exit(goal, exits).values()), None
    return graph, goal


def _check_masks(masks: FreshMasks | None, graph: Graph, backend: str) -> None:
    if masks is None:
        return
    if not any(setting.drawn for setting in graph.settings):
        raise TinyguardError("the network draws no masks: type tinyguard harden stochastic first")
    if backend != "simulator":
        raise TinyguardError(f"masks of other seeds run on the simulator alone, not on {backend}")


def open_scored(name: str, path: Path, graph: Graph) -> Backend:
    """A back end that scores inputs: as `open_backend`, or "xnnpack", a PC's default interpreter, whose
    answers are not the device's."""
    if name == "xnnpack":
        from tinyguard.backends.filtered import behind_filters
        from tinyguard.backends.xnnpack import DefaultInterpreter

        return behind_filters(DefaultInterpreter(path), graph)
    return open_backend(name, path, graph)


def require_torch() -> None:
    """Raise TinyguardError where PyTorch is missing."""
    if importlib.util.find_spec("torch") is None:
        raise TinyguardError("attacks need PyTorch: type pip install 'tinyguard[attack]'")
