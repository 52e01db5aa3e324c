"""Accuracy, agreement between back ends, and where they part."""

from tinyguard.evaluation.agreement import Agreement, agreement, predictions
from tinyguard.evaluation.difference import LayerDifference, differences

__all__ = ["Agreement", "LayerDifference", "agreement", "differences", "predictions"]
