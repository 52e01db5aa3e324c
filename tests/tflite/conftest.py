# SPDX-License-Identifier: Apache-2.0
"""Files that several tests of this room read."""

import os
from pathlib import Path

import pytest


def shared_models() -> Path:
    """The folder of the MLPerf Tiny networks; it may be missing."""
    return Path(os.environ.get("TINYGUARD_SHARED", "../shared")) / "models"


@pytest.fixture(
    params=["kws_ref_model.tflite", "pretrainedResnet_quant.tflite", "vww_96_int8.tflite"], scope="session"
)
def mlperf_model(request: pytest.FixtureRequest) -> Path:
    path = shared_models() / request.param
    if not path.exists():
        pytest.skip(f"{path} is missing; set TINYGUARD_SHARED")
    return path
