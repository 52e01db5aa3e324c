# SPDX-License-Identifier: Apache-2.0
"""CMSIS-NN called from generated C: the same bytes, the scratch it asks for, its published figures."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.kernels import cmsis_nn_cases
from tests.operators.cases_of import Case, drawn_cases
from tinyguard.backends.reference import ReferenceBackend
from tinyguard.boards import load
from tinyguard.codegen import build_image, prepare, target_of
from tinyguard.codegen.batch import Batch
from tinyguard.device.client import Device
from tinyguard.flashing import flash, stop
from tinyguard.kernels.cmsis_nn import _call, convolution, pooling
from tinyguard.tflite import read_graph

ROOT = os.environ.get("CMSIS_NN_ROOT")
SHARED = Path(os.environ.get("TINYGUARD_SHARED", Path(__file__).parents[3] / "shared"))
BOARDS = ("mps2-an385", "mps2-an386", "mps2-an500", "mps2-an505", "mps3-an547")
OPERATORS = ("conv_2d", "depthwise_conv_2d", "fully_connected", "pool_2d", "softmax")

# Instructions per inference with the library built -Ofast at CMSIS-NN 99f736a by gcc 12.2, on QEMU 7.2
PUBLISHED = {
    "pretrainedResnet_quant": {
        "mps2-an386": 29_866_709,
        "mps2-an500": 29_914_774,
        "mps3-an547": 4_804_365,
    },
    "vww_96_int8": {"mps2-an386": 24_710_645, "mps2-an500": 24_473_997, "mps3-an547": 6_423_247},
    "kws_ref_model": {"mps2-an386": 7_840_938, "mps2-an500": 7_756_839, "mps3-an547": 1_780_723},
}

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.skipif(not ROOT, reason="CMSIS_NN_ROOT names no CMSIS-NN"),
    pytest.mark.skipif(
        not shutil.which("qemu-system-arm") or not shutil.which("arm-none-eabi-gcc"),
        reason="qemu-system-arm or arm-none-eabi-gcc is not installed",
    ),
]


def _cases(numbers: range) -> list[Case]:
    cases = [case for name in OPERATORS for case in drawn_cases(name, "int8", numbers)]
    return cases + [case for kind in cmsis_nn_cases.KINDS for case in cmsis_nn_cases.drawn(kind, numbers)]


def _agree(board_name: str, cases: list[Case], folder: Path) -> None:
    board = load(board_name)
    target = target_of(board, kernels="cmsis-nn")
    batch = Batch([case.graph for case in cases], folder, board, target=target, cmsis_nn=Path(ROOT or ""))
    answers = batch.run_all([(number, case.samples) for number, case in enumerate(cases)])
    failures = []
    for case, answer in zip(cases, answers, strict=True):
        flat = [np.asarray(y).reshape(e.shape) for y, e in zip(answer, case.expected, strict=True)]
        failures.append(case.difference(flat, "CMSIS-NN"))
    text = "\n".join(filter(None, failures))
    assert not text, text


@pytest.mark.parametrize("board", BOARDS)
def test_random_layers_compute_the_same(board: str, tmp_path: Path) -> None:
    _agree(board, _cases(range(6)), tmp_path / "project")


@pytest.mark.slow
@pytest.mark.parametrize("start", range(6, 506, 50))
@pytest.mark.parametrize("board", BOARDS)
def test_five_hundred_random_layers_of_each_kind(board: str, start: int, tmp_path: Path) -> None:
    for offset in range(0, 50, 10):
        numbers = range(start + offset, start + offset + 10)
        _agree(board, _cases(numbers), tmp_path / f"project-{offset}")


_ARGUMENTS = "&parameters, &input_dims, &filter_dims, &output_dims"
_SIZE = {
    "CONV_2D": f"arm_convolve_wrapper_s8_get_buffer_size({_ARGUMENTS})",
    "DEPTHWISE_CONV_2D": f"arm_depthwise_conv_wrapper_s8_get_buffer_size({_ARGUMENTS})",
    "AVERAGE_POOL_2D": "arm_avgpool_s8_get_buffer_size(output_dims.w, input_dims.c)",
}


@pytest.mark.parametrize("board", BOARDS)
def test_scratch_is_what_the_library_asks_for(
    board: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Layers that answer with the library's own figure in place of their first four output bytes."""
    kinds = (convolution.Convolve, convolution.DepthwiseConvolve, pooling.AveragePoolCall)
    for kernel in kinds:
        monkeypatch.setattr(kernel, "emit", _answering_its_size(kernel.emit))
    monkeypatch.setattr(convolution.Convolve, "_avoids_wrapper", staticmethod(lambda operator, target: False))
    numbers = range(30)
    cases = [
        case
        for name in ("conv_2d", "depthwise_conv_2d", "pool_2d")
        for case in drawn_cases(name, "int8", numbers)
    ]
    cases += [
        case
        for kind in ("one_row", "one_channel", "many_channels")
        for case in cmsis_nn_cases.drawn(kind, numbers)
    ]
    target = target_of(load(board), kernels="cmsis-nn")
    chosen = [
        case
        for case in cases
        if case.operators[0] in _SIZE and case.graph.tensors[case.graph.outputs[0]].elements >= 4
    ]
    batch = Batch(
        [case.graph for case in chosen],
        tmp_path / "project",
        load(board),
        target=target,
        cmsis_nn=Path(ROOT or ""),
    )
    answers = batch.run_all([(i, [x[:1] for x in case.samples]) for i, case in enumerate(chosen)])
    assert len(chosen) > 100
    for case, answer in zip(chosen, answers, strict=True):
        source = prepare(case.graph, target)
        scratch = [b.size_bytes for b in source.plan.buffers if not b.tensors]
        assert int(answer[0].ravel()[:4].view(np.int32)[0]) == sum(scratch), case.describe()


def _answering_its_size(emit):
    def answering(self, operator, c):
        size = _SIZE[operator.node.operator]
        return (
            f"{emit(self, operator, c)}\nconst int32_t size = {size};\n"
            f"for (uint32_t i = 0; i < 4; i++) {{\n"
            f"    ({c.output()})[i] = (int8_t)(size >> (8 * i));\n}}"
        )

    return answering


@pytest.mark.parametrize("board", ["mps2-an386", "mps2-an500", "mps3-an547"])
@pytest.mark.parametrize(
    "model",
    [
        "kws_ref_model",
        pytest.param("pretrainedResnet_quant", marks=pytest.mark.slow),
        pytest.param("vww_96_int8", marks=pytest.mark.slow),
    ],
)
def test_the_shared_networks_take_what_is_published(model: str, board: str, tmp_path: Path) -> None:
    path = SHARED / "models" / f"{model}.tflite"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    graph, chosen = read_graph(path), load(board)
    image = build_image(graph, chosen, tmp_path / "project", kernels="cmsis-nn", passes=False)
    shape = graph.tensors[graph.inputs[0]].shape[1:]
    codes = np.random.default_rng(0).integers(-128, 128, (2, *shape)).astype(np.int8)
    port = flash(image, chosen)["port"]
    try:
        with Device(port) as device:
            device.connect(graph.sha256)
            batch = device.run(codes)
    finally:
        stop(port)
    np.testing.assert_array_equal(batch.outputs[0], ReferenceBackend(graph).run(codes)[0])
    assert batch.counts.max() <= 1.02 * PUBLISHED[model][board]


def test_what_the_library_lacks_is_ours() -> None:
    case = next(c for c in drawn_cases("mean", "int8", range(20)) if c.operators == ("MEAN",))
    source = prepare(case.graph, target_of(load("mps2-an500"), kernels="cmsis-nn"))
    assert not any(name.startswith("cmsis-nn") for name in source.layer_kernels)
    assert _call.HEADER not in source.kernels
