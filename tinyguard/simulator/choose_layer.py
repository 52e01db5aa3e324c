# SPDX-License-Identifier: Apache-2.0
"""Which layer carries out each operator, as `kernels/select.py` says which kernel prints it."""

from __future__ import annotations

import functools
import importlib
import pkgutil

from tinyguard.operators import Operator
from tinyguard.simulator.layer import Layer
from tinyguard.simulator.rules import PLAIN, Rules


@functools.cache
def _layers() -> dict[type[Operator], type[Layer]]:
    """Operators, and families of operators, that have a layer of their own in a file of this room."""
    package = importlib.import_module("tinyguard.simulator")
    layers: dict[type[Operator], type[Layer]] = {}
    for module in pkgutil.iter_modules(package.__path__):
        for value in vars(importlib.import_module(f"{package.__name__}.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, Layer):
                layers.update(dict.fromkeys(vars(value).get("of", ()), value))
    return layers


def layer_of(operator: Operator, rules: Rules = PLAIN) -> Layer:
    """The layer of a resolved operator: that of its class or of the nearest class above it, else `Layer`."""
    known = _layers()
    kind = next((known[base] for base in type(operator).__mro__ if base in known), Layer)
    return kind(operator, rules)
