# SPDX-License-Identifier: Apache-2.0
"""How much of the labels or targets an output gets right, in the float network and in the quantized one."""

import numpy as np

from tinyguard.data import Samples
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph, Tensor
from tinyguard.graph.answer import check_answer, choose_output, decide, output_place, role_of
from tinyguard.quantize.outcome import Accuracy, Error


def judged_places(graph: Graph, wanted: str | None) -> list[int]:
    """The outputs that labels judge, by number: the one of the name or number `wanted`, or all that say a
    class. Raises TinyguardError where there is none."""
    if wanted is not None:
        choose_output(graph, wanted)
        return [output_place(graph, wanted)]
    judged = [place for place, index in enumerate(graph.outputs) if role_of(graph, index).scores is not None]
    if not judged:
        check_answer(graph)
    return judged


def output_accuracy(
    graph: Graph, place: int, real: np.ndarray, codes: list[np.ndarray], evaluation: Samples
) -> Accuracy | None:
    """Of output `place` of the quantized `graph`: `real` (N, ...) of the float network and `codes`, an array
    (N, ...) of the quantized one per output, on the labelled `evaluation`. None where a label is none of its
    classes."""
    rows = real.reshape(len(evaluation), -1)
    if evaluation.y is None or evaluation.y.max() >= max(2, rows.shape[1]):
        return None
    floats = (rows[:, 0] > 0.5).astype(np.int64) if rows.shape[1] == 1 else rows.argmax(axis=1)
    wholes = decide(choose_output(graph, place), codes).label
    return Accuracy(
        data=evaluation.name,
        samples=len(evaluation),
        float_network=float(np.mean(floats == evaluation.y)),
        quantized_network=float(np.mean(wholes == evaluation.y)),
        same_prediction=float(np.mean(floats == wholes)),
    )


def target_places(graph: Graph, wanted: str | None, targets: np.ndarray, data: str) -> list[int]:
    """The output that real `targets` (N, ...) judge, by number: the one that is `wanted`, or the only one of
    their shape. Raises TinyguardError where that is none or several."""
    shape = _sizes(targets.shape[1:])
    places = range(len(graph.outputs)) if wanted is None else [output_place(graph, wanted)]
    matching = [
        place for place in places if _sizes(graph.tensors[graph.outputs[place]].sample_shape) == shape
    ]
    if len(matching) != 1:
        known = ", ".join(str(graph.tensors[index].shape) for index in graph.outputs)
        hint = "type --output NAME|N" if matching else "save y as one of them has it, channels last"
        raise TinyguardError(f"{data} has targets {targets.shape[1:]} and the outputs are {known}: {hint}")
    return matching


def _sizes(shape: tuple[int, ...]) -> list[int]:
    return [size for size in shape if size != 1]


def output_error(real: np.ndarray, codes: np.ndarray, tensor: Tensor, evaluation: Samples) -> Error:
    """Mean absolute difference of one output from the targets of `evaluation`: `real` (N, ...) of the float
    file, `codes` (N, ...) of the quantized one."""
    assert evaluation.targets is not None
    targets = evaluation.targets.reshape(len(evaluation), -1).astype(np.float64)
    back = tensor.scale * (codes.astype(np.float64) - tensor.zero_point)
    floats, wholes = (np.abs(values.reshape(targets.shape) - targets).mean() for values in (real, back))
    return Error(evaluation.name, len(evaluation), float(floats), float(wholes))


def unfit(network: str, evaluation: Samples, shapes: list[tuple[int, ...]]) -> TinyguardError:
    """The error for labels that no output of `shapes` has a class for."""
    assert evaluation.y is not None
    counts = ", ".join(str(int(np.prod(shape))) for shape in shapes)
    if len(shapes) == 1:
        outputs = f"{counts} outputs"
    else:
        outputs = f"no output for it, of shapes {', '.join(map(str, shapes))}"
    return TinyguardError(
        f"{evaluation.name} has label {evaluation.y.max()} and {network} has {outputs}: give data of the "
        "network's classes"
    )
