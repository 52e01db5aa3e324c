# SPDX-License-Identifier: Apache-2.0
"""PyTorch networks: `module:function`, TorchScript and torch.export files, converted through ONNX."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tinyguard.quantize.onnx_source import channels_first, load_onnx
from tinyguard.quantize.source_network import Source, as_arrays, named_outputs
from tinyguard.quiet import quiet
from tinyguard.sources.torch_files import open_torch


def load_torch(text: str, calibration: np.ndarray) -> Source:
    """A network named by `text`; `calibration` float32 (N, ...), channels last.

    The network is given channels first, PyTorch's layout, as ONNX and onnx2tf expect.
    """
    network = open_torch(text)
    import torch

    return torch_source(network, Path(text).name, calibration, torch)


def torch_source(network: Any, name: str, calibration: np.ndarray, torch: Any) -> Source:
    """A `torch.nn.Module` in memory, exported with opset 17 for a batch of 1.

    Its outputs are in the order in which it returns them, named after a dictionary's keys or a named tuple's
    fields.
    """
    shape = calibration.shape[1:]
    example = torch.zeros((1, *(channels_first(shape) if len(shape) > 1 else shape)))
    with quiet(f"running {name}"), torch.no_grad():
        outputs = tuple(key for key, _ in named_outputs(network(example)))
    exported = network if len(outputs) == 1 else _in_order(network, example)
    with tempfile.TemporaryDirectory(prefix="tinyguard-torch-") as folder:
        path = Path(folder) / "network.onnx"
        with quiet(f"exporting {name} to ONNX"), torch.no_grad():
            torch.onnx.export(exported, (example,), str(path), dynamo=False, opset_version=17)
        source = load_onnx(path, calibration, "pytorch", name, outputs)
    axes = (0, len(shape), *range(1, len(shape)))

    def forward(x: np.ndarray) -> tuple[np.ndarray, ...]:
        x = np.ascontiguousarray(x.transpose(axes)) if len(shape) > 1 else x
        with torch.no_grad():
            return as_arrays(network(torch.from_numpy(x)))

    return replace(source, forward=forward)


def _in_order(network: Any, example: Any) -> Any:
    """A module that returns the outputs of `network` as a tuple: ONNX has no dictionaries.

    Around TorchScript it is traced, for the exporter does not trace what holds some.
    """
    import torch

    class InOrder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: Any) -> Any:
            return tuple(output for _, output in named_outputs(self.network(x)))

    module = InOrder().eval()
    if not isinstance(network, torch.jit.ScriptModule):
        return module
    with quiet("tracing the network"), torch.no_grad():
        return torch.jit.trace(module, example, check_trace=False)
