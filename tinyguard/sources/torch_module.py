# SPDX-License-Identifier: Apache-2.0
"""A float source network as a torch module that ends in logits, whatever it was trained with."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from tinyguard.errors import TinyguardError
from tinyguard.quiet import SHOWN_LINES, one_line, quiet
from tinyguard.sources import keras_export
from tinyguard.sources.exported import plain
from tinyguard.sources.one_output import named_outputs, output_of, outputs_of
from tinyguard.sources.torch_files import open_torch

KERAS_ENDINGS = (".keras", ".h5", ".hdf5")
TINY = 1e-12
TOLERANCE = 1e-4
_UNDONE: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "softmax": lambda logits: torch.softmax(logits, -1),
    "sigmoid": torch.sigmoid,
    "logits": lambda logits: logits,
}


class FloatNetwork(torch.nn.Module):
    """Real values float32 (N, *shape), channels last, to logits (N, classes).

    `ending` says what the source ends in: "logits", or a "softmax" or "sigmoid" that is not computed here,
    or "probabilities" that could not be undone in the network: then the logits are log(p + TINY). One output
    x says the two classes (0, x). `output` is its number, where the source has several.
    `network` is the source in its own layout, `takes` the shape of its samples; with `one_by_one` it was
    saved for a batch of 1 and is mapped over the batch; `folded` says that batch norms are in the weights.
    """

    def __init__(self, network: torch.nn.Module, shape: tuple[int, ...], channels_first: bool) -> None:
        super().__init__()
        self.network = network
        self.shape = shape
        self.channels_first = channels_first and len(shape) > 1
        self.takes = (shape[-1], *shape[:-1]) if self.channels_first else shape
        self.one_by_one = False
        self.folded = False
        self.ending = "logits"
        self.output = 0

    def forward(self, real: torch.Tensor) -> torch.Tensor:
        values = self.values(real)
        if self.ending == "probabilities":
            values = torch.log(values + TINY) - (torch.log(1 - values + TINY) if values.shape[1] == 1 else 0)
        return two_classes(values)

    def values(self, real: torch.Tensor) -> torch.Tensor:
        """What the network gives, (N, outputs): without what its ending says."""
        x = self.laid_out(real)
        if self.one_by_one:
            rows = torch.func.vmap(lambda row: output_of(self.network(row[None]), self.output)[0])(x)
        else:
            rows = output_of(self.network(x), self.output)
        return rows.reshape(len(rows), -1)

    def laid_out(self, real: torch.Tensor) -> torch.Tensor:
        """The samples as `network` takes them, (N, *takes)."""
        if not self.channels_first or self.shape[-1] == 1:
            return real.reshape(len(real), *self.takes)
        return real.movedim(-1, 1)


Choice = Callable[[Sequence[tuple[str, tuple[int, ...]]]], int]
"""Of a network's outputs, names ("" where there is none) and shapes of one sample, the number of one."""


def load_torch_module(source: str, shape: tuple[int, ...], choose: Choice = lambda named: 0) -> FloatNetwork:
    """The network that `source` names, for samples of `shape`, channels last: Keras `.keras` or `.h5`,
    ONNX, TorchScript or torch.export files, PyTorch MODULE:FUNCTION.

    A MODULE:FUNCTION network is the function's own module, in eval mode. Keras and torch.export networks
    keep their weights as parameters, with the batch norms of inference folded into them. `choose` says which
    of several outputs is wanted. Raises TinyguardError for a source that cannot be read or does not take
    samples of that shape.
    """
    path = Path(source)
    if path.suffix in KERAS_ENDINGS and path.is_file():
        return _checked(*_keras(path, shape, choose), source)
    if path.suffix in (".onnx", ".pt2", *KERAS_ENDINGS) and not path.exists():
        raise TinyguardError(f"source {source} is not there: give the float network's file")
    if path.is_dir() or path.suffix in (".tflite", *KERAS_ENDINGS):
        raise TinyguardError(
            f"{source} is no network that torch can run: give .keras, .h5, .onnx, .pt2 or MODULE:FUNCTION"
        )
    network: Any = _onnx(path) if path.suffix == ".onnx" else open_torch(source)
    raw, ending = network, None
    opened = FloatNetwork(network, shape, channels_first=True)
    opened.output = _number(raw, opened, choose)
    if isinstance(network, torch.jit.ScriptModule):
        opened.network = open_torch(source)
        ending = _strip_script(opened.network)
    elif path.suffix == ".pt2":
        opened.network, ending = plain(network, opened.output)
        opened.folded = True
    return _checked(opened, raw, ending, source)


def two_classes(logits: torch.Tensor) -> torch.Tensor:
    """Logits (N, classes): a single x, as before a sigmoid, becomes (0, x)."""
    return logits if logits.shape[1] > 1 else torch.cat([torch.zeros_like(logits), logits], 1)


def _number(raw: torch.nn.Module, opened: FloatNetwork, choose: Choice) -> int:
    """What `choose` says of the outputs of `raw`; 0 where that cannot run, as `_checked` then tells."""
    with torch.no_grad():
        try:
            outputs = raw(opened.laid_out(torch.rand(1, *opened.shape)))
        except Exception:  # networks refuse in many ways
            return 0
    return choose([(name, tuple(tensor.shape[1:])) for name, tensor in named_outputs(outputs)])


def _checked(opened: FloatNetwork, raw: torch.nn.Module, ending: str | None, source: str) -> FloatNetwork:
    """`opened` with its ending known, once its logits give the outputs of `raw`, the source as it is.

    `ending` is what was taken off already; with None the network still has it.
    """
    with torch.no_grad():
        real = torch.rand(3, *opened.shape)
        x = opened.laid_out(real)
        try:
            with quiet(f"running {source}", raw=True):
                returned = [outputs_of(raw(row[None])) for row in x]
        except Exception as error:
            raise TinyguardError(
                f"{source} takes no samples of {opened.shape} ({one_line(error)}): name the network that the "
                ".tflite was made from"
            ) from None
        expected = torch.cat([tensors[opened.output].reshape(1, -1) for tensors in returned])
        if ending is None:
            ending = _ending(raw, x[:1], opened.output)
            if ending != "logits":
                opened.network = WithoutEnding(raw, opened.output)
        opened.ending = ending
        for one_by_one in (False, True):
            opened.one_by_one = one_by_one
            if _agrees(opened, real, expected):
                break
        else:
            opened.network, opened.ending, opened.one_by_one = raw, "logits", False
            if not _agrees(opened, real, expected):
                raise TinyguardError(f"{source} takes no batches: save it with an open batch size")
        if opened.ending == "logits" and _are_probabilities(expected):
            opened.ending = "probabilities"
    return opened


def _are_probabilities(values: torch.Tensor) -> bool:
    if bool(((values < 0) | (values > 1)).any()):
        return False
    return values.shape[1] == 1 or bool(((values.sum(1) - 1).abs() < TOLERANCE).all())


def _agrees(opened: FloatNetwork, real: torch.Tensor, expected: torch.Tensor) -> bool:
    try:
        outputs = _UNDONE[opened.ending](opened.values(real))
    except Exception:  # whatever a network made for another batch size raises
        return False
    scale = max(1.0, float(expected.abs().max()))
    return outputs.shape == expected.shape and bool(((outputs - expected).abs() < TOLERANCE * scale).all())


class _Watch(TorchFunctionMode):
    """Remembers every softmax and sigmoid: its result, argument and name."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: list[tuple[torch.Tensor, Any, str]] = []

    def of(self, output: torch.Tensor) -> tuple[torch.Tensor, str]:
        """What was given to the function that returned `output`, and its name; itself, as logits, where none
        did."""
        for result, argument, name in self._calls:
            if result is output:
                return argument, name
        return output, "logits"

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        name = getattr(function, "__name__", "")
        if name in ("softmax", "sigmoid"):
            self._calls.append((result, args[0] if args else (kwargs or {}).get("input"), name))
        return result


class WithoutEnding(torch.nn.Module):
    """`network`, returning what the final softmax or sigmoid of one output was given."""

    def __init__(self, network: torch.nn.Module, output: int = 0) -> None:
        super().__init__()
        self.network, self.output = network, output

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with _Watch() as watch:
            values = output_of(self.network(x), self.output)
        return watch.of(values)[0]


class WithoutEndings(torch.nn.Module):
    """`network`, returning what the final softmax or sigmoid of each of some outputs was given."""

    def __init__(self, network: torch.nn.Module, outputs: Sequence[int]) -> None:
        super().__init__()
        self.network, self.outputs = network, outputs

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with _Watch() as watch:
            values = outputs_of(self.network(x))
        return tuple(watch.of(values[number])[0] for number in self.outputs)


def _ending(network: torch.nn.Module, x: torch.Tensor, output: int) -> str:
    with _Watch() as watch:
        values = output_of(network(x), output)
    return watch.of(values)[1]


def _strip_script(network: Any) -> str:
    """Take a final softmax or sigmoid off a TorchScript network that has not run yet; its name."""
    graph = network.graph
    torch._C._jit_pass_inline(graph)
    outputs = list(graph.outputs())
    name = outputs[0].node().kind().removeprefix("aten::")
    if len(outputs) != 1 or name not in ("softmax", "sigmoid"):
        return "logits"
    argument = next(outputs[0].node().inputs())
    graph.eraseOutput(0)
    graph.registerOutput(argument)
    return str(name)


def _keras(path: Path, shape: tuple[int, ...], choose: Choice) -> tuple[FloatNetwork, torch.nn.Module, str]:
    with tempfile.TemporaryDirectory(prefix="tinyguard-keras-") as folder:
        target = Path(folder) / "network.pt2"
        command = [sys.executable, "-P", str(keras_export.__file__), str(path), str(target)]
        environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode or not target.is_file():
            lines = (done.stdout + done.stderr).splitlines()
            if any("No module named 'keras'" in line for line in lines):
                raise TinyguardError("Keras networks need Keras: type pip install 'tinyguard[keras]'")
            sys.stderr.write("\n".join(lines[-SHOWN_LINES:]) + "\n")
            raise TinyguardError(f"{path} cannot be loaded by Keras 3 on torch: its last words are above")
        with quiet(f"loading {path}"):
            raw = torch.export.load(target).module()
    sizes = [node.meta["val"].shape[1:] for node in raw.graph.nodes if node.op == "placeholder"]
    takes = tuple(int(size) for size in sizes[0])
    opened = FloatNetwork(raw, shape, channels_first=False)
    if torch.Size(takes).numel() != torch.Size(shape).numel():
        raise TinyguardError(
            f"{path} takes samples of {takes} and the network {shape}: name the network that the .tflite "
            "was made from"
        )
    opened.takes, opened.folded = takes, True
    opened.output = _number(raw, opened, choose)
    opened.network, ending = plain(raw, opened.output)
    return opened, raw, ending


def _onnx(path: Path) -> torch.nn.Module:
    try:
        import onnx2torch
    except (ImportError, RuntimeError):  # a torchvision of another torch raises the latter
        raise TinyguardError(
            f"{path}: give the PyTorch or Keras network that it was exported from, or pip install onnx2torch"
        ) from None
    with quiet(f"loading {path}"):
        network: torch.nn.Module = onnx2torch.convert(str(path)).eval()
    return network
