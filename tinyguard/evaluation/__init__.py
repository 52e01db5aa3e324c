# SPDX-License-Identifier: Apache-2.0
"""Accuracy, agreement between back ends, and where they part."""

from tinyguard.evaluation.agreement import Agreement, agreement
from tinyguard.evaluation.difference import LayerDifference, differences
from tinyguard.evaluation.evaluate import Evaluation, evaluate_device, evaluate_host
from tinyguard.evaluation.resume import RunRecord, run_key

__all__ = [
    "Agreement",
    "Evaluation",
    "LayerDifference",
    "RunRecord",
    "agreement",
    "differences",
    "evaluate_device",
    "evaluate_host",
    "run_key",
]
