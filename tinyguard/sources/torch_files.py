# SPDX-License-Identifier: Apache-2.0
"""PyTorch networks by name: `module:function`, TorchScript and torch.export files."""

import contextlib
import importlib
import importlib.util
import json
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tinyguard.errors import TinyguardError
from tinyguard.quiet import one_line, quiet

OUTPUT = "tinyguard.output"  # in a file of weights: the number of the output that they were trained for
ENDINGS = (".pt2", ".pt", ".pth", ".ckpt", ".bin", ".safetensors")


def open_torch(text: str) -> Any:
    """The `torch.nn.Module` in eval mode that `text` names: a TorchScript or torch.export file,
    MODULE:FUNCTION, or MODULE:FUNCTION:WEIGHTS.npz with other weights than the function gives it, as
    `tinyguard harden train` writes them. Raises TinyguardError where there is none."""
    try:
        importlib.import_module("torch")
    except ImportError:
        raise TinyguardError("PyTorch networks need torch: type pip install 'tinyguard[onnx]'") from None
    return _load_file(Path(text)) if Path(text).suffix in ENDINGS else _call(text)


def _call(text: str) -> Any:
    """The module that a function of an importable module, or of a file FILE.py, returns."""
    import torch

    module_name, _, rest = text.partition(":")
    function_name, _, weights = rest.partition(":")
    if not function_name:
        raise TinyguardError(f"{text} names no function: type MODULE:FUNCTION or FILE.py:FUNCTION")
    file = Path(module_name) if module_name.endswith(".py") else None
    folder = str((file.parent if file else Path()).resolve())
    sys.path.insert(0, folder)
    try:
        module = _run_file(file) if file else importlib.import_module(module_name)
        network = getattr(module, function_name)()
    except Exception as error:
        raise TinyguardError(f"{text} could not be called ({one_line(error)})") from error
    finally:
        sys.path.remove(folder)
    if not isinstance(network, torch.nn.Module):
        raise TinyguardError(f"{text} returned {type(network).__name__}, not a torch.nn.Module")
    if weights:
        network = _with_weights(network, _weights_file(weights, folder))
    return network.eval()


def _weights_file(text: str, folder: str) -> Path:
    """Where it is from here, or else from the module's folder."""
    file = next((path for path in (Path(text), Path(folder) / text) if path.is_file()), None)
    if file is None:
        raise TinyguardError(f"weights {text} are not there: give an .npz that tinyguard harden train wrote")
    return file


def _with_weights(network: Any, path: Path) -> Any:
    """The network with the file's arrays in the outermost part whose state has their names and shapes, or
    these names without a part in front, where they were written with more around them. Where OUTPUT stands in
    the file, the network returns that output alone."""
    import torch

    try:
        with np.load(path, allow_pickle=False) as arrays:
            state = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise TinyguardError(
            f"{path} cannot be read as .npz ({type(error).__name__}): give plain arrays"
        ) from None
    output = state.pop(OUTPUT, None)
    while state:
        for part in network.modules():
            own = part.state_dict()
            if own.keys() == state.keys() and all(own[name].shape == state[name].shape for name in own):
                part.load_state_dict(state)
                return network if output is None else _alone(network, int(output))
        heads = {name.partition(".")[0] for name in state}
        state = {name.partition(".")[2]: value for name, value in state.items()} if len(heads) == 1 else {}
    raise TinyguardError(
        f"{path} holds the weights of another network: name the function that they were made with"
    )


def _alone(network: Any, output: int) -> Any:
    """The network, returning this output alone."""
    import torch

    from tinyguard.sources.one_output import output_of

    class Alone(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, *inputs: Any) -> Any:
            return output_of(self.network(*inputs), output)

    return Alone()


def _run_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"tinyguard_source_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _load_file(path: Path) -> Any:
    """TorchScript and torch.export archives; pickles, which run code when read, are refused."""
    import torch

    if path.suffix == ".pt2":
        return _load_exported(path)
    try:
        with quiet(f"loading {path}", raw=True):
            return torch.jit.load(str(path), map_location="cpu").eval()
    except Exception:
        raise TinyguardError(
            f"{path} is no TorchScript or torch.export file; weights alone name no network: give a function "
            "that builds it and loads them, as MODULE:FUNCTION"
        ) from None


def _load_exported(path: Path) -> Any:
    """A torch.export archive. Pickled objects and symbolic sizes, which torch evaluates, are refused."""
    import torch

    try:
        with zipfile.ZipFile(path) as archive:
            records = [
                json.loads(archive.read(name)) for name in archive.namelist() if name.endswith(".json")
            ]
        if "expr_str" in json.dumps(records):
            raise TinyguardError(f"{path} has symbolic sizes: export it without dynamic shapes")
        with _weights_only():
            network = torch.export.load(path).module()
    except TinyguardError:
        raise
    except Exception as error:
        raise TinyguardError(f"{path} is no torch.export file of plain tensors ({one_line(error)})") from None
    # the exporter sets the mode, which an exported graph refuses although it has none
    setattr(network, "train", lambda mode=True: network)  # noqa: B010
    return network


@contextlib.contextmanager
def _weights_only() -> Iterator[None]:
    """torch.load reads tensors alone, whatever its caller asks for."""
    name = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
