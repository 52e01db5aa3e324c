# SPDX-License-Identifier: Apache-2.0
"""What an inference takes on a board: instructions or cycles, whole and layer by layer, and memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyguard.codegen import ModelSource, predicted
from tinyguard.errors import TinyguardError
from tinyguard.flashing import flash, stop
from tinyguard.graph import Graph, Tensor
from tinyguard.graph.multi_exit import TAKEN, decision_of, stages_of

if TYPE_CHECKING:
    from tinyguard.boards import Board
    from tinyguard.device.client import Device
    from tinyguard.toolchain import Image

_SEED = 0


@dataclass(frozen=True)
class LayerCount:
    """One layer: its multiply-accumulates and its count, in the run's unit, per inference.

    `kernel` is "view" where nothing is computed.
    """

    name: str
    operator: str
    kernel: str
    macs: int
    count: int


@dataclass(frozen=True)
class StageCount:
    """One stage of a network with exits, its gate included: the count of its layers, in the run's unit, their
    multiply-accumulates, and how many they are."""

    name: str
    count: int
    macs: int
    layers: int


@dataclass(frozen=True)
class Bench:
    """One run. `unit`: "instructions" (emulated) or "cycles". Sizes in bytes.

    `stack_bytes`: most that was ever used, the runtime's frames and interrupts included;
    `inference_stack_bytes`: the layers' share. `flash_bytes` is None for an image built elsewhere.
    `stages`: of a network with exits, in their order, whatever the sample took; empty for any other network,
    and in old records. An inference that leaves at an exit takes the counts of the stages up to it.
    `exit`: the one at which `per_inference` left, from 1; None without exits.
    """

    board: str
    kernels: str
    optimize: str
    unit: str
    per_inference: int
    layers: tuple[LayerCount, ...]
    flash_bytes: int | None
    arena_bytes: int
    stack_bytes: int
    inference_stack_bytes: int
    predicted: dict[str, int]
    stages: tuple[StageCount, ...] = ()
    exit: int | None = None

    @property
    def macs(self) -> int:
        """Of all layers."""
        return sum(layer.macs for layer in self.layers)

    @property
    def macs_per_inference(self) -> int:
        """Of the layers that `per_inference` counts: those up to the exit that was taken."""
        return self.macs if self.exit is None else sum(stage.macs for stage in self.stages[: self.exit])

    def as_dict(self) -> dict[str, Any]:
        """For --json and -o."""
        return asdict(self)


def bench(
    device: Device, source: ModelSource, board: Board, sample: Sequence[np.ndarray], flash_bytes: int | None
) -> Bench:
    """Run one sample, an array of shape `sample_shape` for each input, on a connected board.

    `source` is what the board's image was printed from. Raises TinyguardError when the board runs
    another number of layers, and what Device raises.
    """
    description = device.description
    if description.layer_count != len(source.operators):
        raise TinyguardError(
            f"the board on {device.port} runs {description.layer_count} layers and these options give "
            f"{len(source.operators)}: bench with the options that it was flashed with"
        )
    device.status(repaint=True)
    whole = device.infer(*sample)
    status = device.status()
    counts = device.count_layers(*sample)
    sizes = predicted(source, board)
    stages = stages_of(source.graph)
    return Bench(
        board=board.name,
        kernels=source.target.kernels,
        optimize=source.target.optimize,
        unit=description.unit,
        per_inference=whole.count,
        layers=tuple(
            LayerCount(
                operator.name,
                operator.node.operator,
                "view" if operator.is_view else kernel,
                operator.macs,
                count,
            )
            for operator, kernel, count in zip(source.operators, source.layer_kernels, counts, strict=True)
        ),
        flash_bytes=flash_bytes,
        arena_bytes=description.arena_bytes,
        stack_bytes=status.stack_high_water,
        inference_stack_bytes=status.inference_stack_bytes,
        predicted={"constant_bytes": sizes.constant_bytes, "ram_bytes": sizes.ram_bytes},
        stages=tuple(
            StageCount(
                stage.name,
                sum(counts[stage.first : stage.end]),
                sum(operator.macs for operator in source.operators[stage.first : stage.end]),
                len(stage.layers),
            )
            for stage in stages
        ),
        exit=int(decision_of(source.graph, whole.outputs)[0, TAKEN]) if stages else None,
    )


@contextmanager
def started(image: Image, board: Board) -> Iterator[str]:
    """The port of a virtual board that runs `image`, stopped in the end whatever happens."""
    port = str(flash(image, board, runner="emulator")["port"])
    try:
        yield port
    finally:
        stop(port)


def random_sample(graph: Graph) -> list[np.ndarray]:
    """One sample, the same every time: codes over the whole range of each input, or normal floats."""
    rng = np.random.default_rng(_SEED)
    return [_random(rng, graph.tensors[index]) for index in graph.inputs]


def _random(rng: np.random.Generator, tensor: Tensor) -> np.ndarray:
    shape = tensor.shape[1:]
    if tensor.dtype == "float32":
        return rng.standard_normal(shape).astype(np.float32)
    limits = np.iinfo(tensor.dtype)
    return rng.integers(limits.min, limits.max, shape, np.int64, endpoint=True).astype(tensor.dtype)


def read_run(path: Path) -> Bench:
    """A run that -o wrote; raises TinyguardError when the file is none."""
    try:
        content = json.loads(Path(path).read_text())
        layers = tuple(LayerCount(**layer) for layer in content.pop("layers"))
        stages = tuple(StageCount(**stage) for stage in content.pop("stages", ()))
        return Bench(layers=layers, stages=stages, **content)
    except OSError as error:
        raise TinyguardError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise TinyguardError(f"{path} is not a run of `tinyguard bench -o`; measure it again") from None
