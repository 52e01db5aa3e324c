# SPDX-License-Identifier: Apache-2.0
"""What quantization did to a network: accuracy, worst layers, size."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from tinyguard.quantize.layers import LayerError

WORST_LAYERS = 5


@dataclass(frozen=True)
class Accuracy:
    """Fractions of `samples` that are classified right, and given the same class by both networks."""

    data: str
    samples: int
    float_network: float
    quantized_network: float
    same_prediction: float


@dataclass(frozen=True)
class Error:
    """Mean absolute differences from real targets, in their unit, over `samples`."""

    data: str
    samples: int
    float_network: float
    quantized_network: float


@dataclass(frozen=True)
class Output:
    """One output of the quantized file, called `name` there. `shape` is its tensor's.

    `conversion_error` is the largest difference between the source's output and the float `.tflite`'s, over a
    few samples. `accuracy` is None where no labels judge the output, `error` where no real targets do. `role`
    is what the file says that it means, None where it does not.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int
    conversion_error: float
    accuracy: Accuracy | None = None
    error: Error | None = None
    role: str | None = None


@dataclass(frozen=True)
class Exit:
    """One exit of the quantized file: number and tensor `name` of its output.

    `macs` are those of an inference that leaves there, earlier heads included; `logits_scale` is the real
    value of one code of what its softmax reads; `accuracy` as the output's.
    """

    output: int
    name: str
    macs: int
    logits_scale: float
    accuracy: Accuracy | None = None


@dataclass(frozen=True)
class Report:
    """Everything `tinyguard quantize` says; `as_record` is what goes beside the model as JSON.

    `outputs` are in the source's order. `output` and `accuracy` repeat the only one's, and are None where
    there are several. `exits` has the shallowest first, and is empty for a file without.
    """

    source: str
    kind: str
    scheme: str
    sha256: str
    size_bytes: int
    float_size_bytes: int
    calibration: str
    calibration_samples: int
    input: dict[str, Any]
    output: dict[str, Any] | None
    conversion_error: float
    """Largest difference between the source's own outputs and the float `.tflite`'s, over a few samples."""
    layers: tuple[LayerError, ...]
    outputs: tuple[Output, ...]
    accuracy: Accuracy | None = None
    notes: tuple[str, ...] = ()
    exits: tuple[Exit, ...] = ()

    def as_record(self) -> dict[str, Any]:
        """Plain types for JSON."""
        return asdict(self)

    def rows(self) -> Iterator[tuple[str, str]]:
        """Label and text of each line that people read."""
        yield "source", f"{self.source} ({self.kind})"
        yield "scheme", self.scheme
        yield "size", f"{self.size_bytes:,} bytes (float {self.float_size_bytes:,})"
        yield "calibration", f"{self.calibration_samples} samples of {self.calibration}"
        yield "input", _border_text(self.input)
        if self.output is not None:
            (only,) = self.outputs
            yield "output", _border_text(self.output) + _role_text(only)
            if only.error is not None:
                yield "evaluated on", f"{only.error.samples} samples of {only.error.data}"
                yield "mean absolute error", self._error_text(only.error)
        elif self.exits:
            yield from self._exit_rows()
        else:
            yield from self._output_rows()
        if self.accuracy is not None:
            accuracy = self.accuracy
            yield "evaluated on", f"{accuracy.samples} samples of {accuracy.data}"
            yield "float accuracy", f"{100 * accuracy.float_network:.2f} %"
            yield f"{self.scheme} accuracy", f"{100 * accuracy.quantized_network:.2f} %"
            yield "same prediction", f"{100 * accuracy.same_prediction:.2f} %"
        for error in self.layers[:WORST_LAYERS]:
            yield "worst layers", f"{error.sqnr_db:5.1f} dB  {short_name(error.name)}"
        for note in self.notes:
            yield "note", note

    def _output_rows(self) -> Iterator[tuple[str, str]]:
        """A line per output, and a second one where labels judge it."""
        judged = [figure for output in self.outputs if (figure := output.accuracy or output.error)]
        if judged:
            yield "evaluated on", f"{judged[0].samples} samples of {judged[0].data}"
        for place, output in enumerate(self.outputs):
            label = f"output {place}"
            yield label, f"{short_name(output.name)}: {_border_text(asdict(output))}{_role_text(output)}"
            if output.error is not None:
                yield label, f"mean absolute error {self._error_text(output.error)}"
            if output.accuracy is not None:
                yield label, self._accuracy_text(output.accuracy)

    def _exit_rows(self) -> Iterator[tuple[str, str]]:
        """A line per exit, a second one where labels judge it, and what answers."""
        if (accuracy := self.exits[0].accuracy) is not None:
            yield "evaluated on", f"{accuracy.samples} samples of {accuracy.data}"
        for number, each in enumerate(self.exits, start=1):
            place, name = each.output, short_name(each.name)
            yield (
                f"exit {number}",
                f"output {place} {name}: {each.macs:,} MACs, logits' scale {each.logits_scale:.6g}",
            )
            if each.accuracy is not None:
                yield f"exit {number}", self._accuracy_text(each.accuracy)
        yield "policy", "never: the last exit answers; tinyguard exits sets another"

    def _accuracy_text(self, accuracy: Accuracy) -> str:
        return (
            f"{self.scheme} accuracy {100 * accuracy.quantized_network:.2f} %, "
            f"float {100 * accuracy.float_network:.2f} %, "
            f"same prediction {100 * accuracy.same_prediction:.2f} %"
        )

    def _error_text(self, error: Error) -> str:
        return f"{self.scheme} {error.quantized_network:.4g}, float {error.float_network:.4g}"

    def table(self) -> Table:
        """The rows for a terminal."""
        table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
        previous = ""
        for label, text in self.rows():
            table.add_row("" if label == previous else label, Text(text))
            previous = label
        return table


def _role_text(output: Output) -> str:
    return "" if output.role is None else f", {output.role}"


def _border_text(border: dict[str, Any]) -> str:
    shape = "x".join(map(str, border["shape"]))
    return f"{border['dtype']} {shape}, scale {border['scale']:.6g}, zero point {border['zero_point']}"


def short_name(name: str) -> str:
    """A fused layer's name is a list of all it was fused from: the first part says enough."""
    first = name.split(";")[0]
    return first if len(first) <= 60 else f"...{first[-57:]}"
