# SPDX-License-Identifier: Apache-2.0
"""The DSP forms of the kernels on the host, through their C equivalents, under the sanitizers."""

from pathlib import Path

import pytest

from tests.operators.builder import SCHEMES
from tests.operators.cases_of import drawn_cases
from tinyguard.codegen.batch import Batch

OPERATORS = ("conv_2d", "depthwise_conv_2d", "fully_connected", "transpose_conv")


class DspBatch(Batch):
    """A batch for the host whose kernels take the DSP path."""

    def _write(self) -> None:
        super()._write()
        header = self.directory / "kernels" / "dsp.h"
        header.write_text("#define TG_DSP_IN_C 1\n" + header.read_text())


@pytest.mark.parametrize(
    "numbers", [range(8), pytest.param(range(8, 200), marks=pytest.mark.slow)], ids=["quick", "rest"]
)
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", OPERATORS)
def test_dsp_kernels_compute_the_same(name: str, scheme: str, numbers: range, tmp_path: Path) -> None:
    cases = drawn_cases(name, scheme, numbers)
    batch = DspBatch([case.graph for case in cases], tmp_path / "project", sanitize=True)
    answers = batch.run_all([(k, case.samples) for k, case in enumerate(cases)])
    for case, answer in zip(cases, answers, strict=True):
        assert not case.difference(list(answer), "the DSP path")
