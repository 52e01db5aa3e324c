"""How many labels an output gets right, in the float network and in the quantized one."""

import numpy as np

from tinyguard.data import Samples
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph, Tensor
from tinyguard.quantize.report import Accuracy


def classes(outputs: np.ndarray) -> np.ndarray:
    """The predicted class of each row: the lowest index among equals; one sigmoid output splits at 0.5."""
    rows = outputs.reshape(len(outputs), -1)
    return (rows[:, 0] > 0.5).astype(np.int64) if rows.shape[1] == 1 else rows.argmax(1)


def output_accuracy(
    real: np.ndarray, codes: np.ndarray, tensor: Tensor, evaluation: Samples
) -> Accuracy | None:
    """Of one output: `real` (N, ...) of the float network and `codes` (N, ...) of the quantized one, on the
    labelled `evaluation`. None where a label is none of its classes."""
    real = real.reshape(len(evaluation), -1)
    if evaluation.y is None or evaluation.y.max() >= max(2, real.shape[1]):
        return None
    floats = classes(real)
    wholes = classes(np.float32(tensor.scale) * (codes.astype(np.float32) - tensor.zero_point))
    return Accuracy(
        data=evaluation.name,
        samples=len(evaluation),
        float_network=float(np.mean(floats == evaluation.y)),
        quantized_network=float(np.mean(wholes == evaluation.y)),
        same_prediction=float(np.mean(floats == wholes)),
    )


def judged(graph: Graph, output: int) -> bool:
    """Whether labels judge the graph's output number `output`: the only one of a network; scores (1, C); one
    element after a sigmoid."""
    index = graph.outputs[output]
    shape, producer = graph.tensors[index].shape, graph.producer(index)
    scores = len(shape) == 2 and shape[0] == 1 and shape[1] >= 2
    probability = (
        graph.tensors[index].elements == 1 and producer is not None and producer.operator == "LOGISTIC"
    )
    return len(graph.outputs) == 1 or scores or probability


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
