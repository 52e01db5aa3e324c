"""Graph -> C: the memory plan, the weights, and a project that builds by `make` alone."""

from tinyguard.codegen.image import build_image, default_directory
from tinyguard.codegen.library import generate_library
from tinyguard.codegen.memory import Buffer, MemoryPlan, plan
from tinyguard.codegen.predict import Prediction, predict
from tinyguard.codegen.prepare import prepare, target_of
from tinyguard.codegen.project import generate
from tinyguard.codegen.source import ModelSource, emit_model

__all__ = [
    "Buffer",
    "MemoryPlan",
    "ModelSource",
    "Prediction",
    "build_image",
    "default_directory",
    "emit_model",
    "generate",
    "generate_library",
    "plan",
    "predict",
    "prepare",
    "target_of",
]
