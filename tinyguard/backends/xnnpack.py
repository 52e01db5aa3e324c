# SPDX-License-Identifier: Apache-2.0
"""The interpreter that people use by default on a PC: XNNPACK kernels, which round once.

Its outputs are not the device's; it is here to show which figures taken with it do not hold there.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from tinyguard.backends.litert import RUNTIMES
from tinyguard.errors import TinyguardError
from tinyguard.graph import sample_shape
from tinyguard.quiet import quiet


class DefaultInterpreter:
    """A `.tflite` network in a runtime's default interpreter, one sample at a time.

    `runtime` is a name in `litert.RUNTIMES`, None for the first that is installed.
    """

    def __init__(self, model: Path, runtime: str | None = None) -> None:
        self.runtime, self._interpreter = _open(model, runtime)
        self._input = self._interpreter.get_input_details()[0]
        self._outputs = self._interpreter.get_output_details()

    @property
    def name(self) -> str:
        return f"default interpreter ({self.runtime}, XNNPACK)"

    def run(self, *inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        """Codes (N, *input shape) to the outputs' codes (N, ...), for networks with one input."""
        (codes,) = inputs
        results = [
            np.empty((len(codes), *sample_shape(tuple(output["shape"]))), output["dtype"])
            for output in self._outputs
        ]
        for row in range(len(codes)):
            self._interpreter.set_tensor(self._input["index"], codes[row : row + 1])
            self._interpreter.invoke()
            for result, output in zip(results, self._outputs, strict=True):
                result[row] = self._interpreter.get_tensor(output["index"]).reshape(result.shape[1:])
        return tuple(results)


def _open(model: Path, runtime: str | None) -> tuple[str, Any]:
    reasons = []
    for name in [runtime] if runtime else RUNTIMES:
        module_name, package = RUNTIMES[name]
        try:
            with quiet(f"opening {name}", raw=True):
                module = importlib.import_module(module_name)
                interpreter = module.Interpreter(model_content=model.read_bytes(), num_threads=1)
                interpreter.allocate_tensors()
        except ImportError:
            reasons.append(f"{name} is not installed (type pip install {package})")
            continue
        except (RuntimeError, ValueError) as error:
            reasons.append(f"{name} cannot run this file ({str(error).splitlines()[0][:120]})")
            continue
        return name, interpreter
    raise TinyguardError(f"no default interpreter for {model}: {'; '.join(reasons)}")
