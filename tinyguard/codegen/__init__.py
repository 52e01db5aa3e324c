# SPDX-License-Identifier: Apache-2.0
"""Graph -> C: the memory plan, the weights, and a project that builds by `make` alone."""

from tinyguard.codegen.image import build_image, build_prepared, built_image, default_directory
from tinyguard.codegen.library import generate_library
from tinyguard.codegen.memory import Buffer, MemoryPlan, plan
from tinyguard.codegen.options import Options
from tinyguard.codegen.predict import Prediction, predict, predicted
from tinyguard.codegen.prepare import prepare, prepare_for, target_of
from tinyguard.codegen.project import generate
from tinyguard.codegen.source import ModelSource, emit_model

__all__ = [
    "Buffer",
    "MemoryPlan",
    "ModelSource",
    "Options",
    "Prediction",
    "build_image",
    "build_prepared",
    "built_image",
    "default_directory",
    "emit_model",
    "generate",
    "generate_library",
    "plan",
    "predict",
    "predicted",
    "prepare",
    "prepare_for",
    "target_of",
]
