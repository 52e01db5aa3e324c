# SPDX-License-Identifier: Apache-2.0
"""Run as a script, `keras_export.py NETWORK TARGET`: a Keras network as a torch.export file.

Keras takes one back end per process, and TensorFlow's Keras and this one may both be wanted: so Keras on
torch has a process of its own, which imports nothing of tinyguard. The variables are saved as parameters.
"""

import os
import sys
from typing import Any


def main(network: str, target: str) -> None:
    os.environ.update(KERAS_BACKEND="torch", KERAS_TORCH_DEVICE="cpu", TF_CPP_MIN_LOG_LEVEL="3")
    import keras
    import torch

    class DepthwiseConv2D(keras.layers.DepthwiseConv2D):
        """Keras 2 wrote `groups`, which Keras 3 does not take."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            options.pop("groups", None)
            super().__init__(*arguments, **options)

    class Inference(torch.nn.Module):
        def __init__(self, model: Any) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: torch.Tensor) -> Any:
            return self.model(x, training=False)

    custom = {"DepthwiseConv2D": DepthwiseConv2D}
    model = keras.models.load_model(network, compile=False, custom_objects=custom)
    if len(model.inputs) != 1:
        raise ValueError(f"{len(model.inputs)} inputs, one is needed")
    shape = tuple(model.inputs[0].shape)[1:]
    if None in shape:
        raise ValueError(f"its input shape {shape} leaves a size open")
    batch = {0: torch.export.Dim("batch", min=1)}
    example = torch.zeros(4, *shape)
    exported = torch.export.export(Inference(model).eval(), (example,), dynamic_shapes=(batch,))
    torch.export.save(exported, target)


if __name__ == "__main__":
    main(*sys.argv[1:])
