# SPDX-License-Identifier: Apache-2.0
"""The operators: one file each, with parameters and checks, exact simulation, C emission and MAC count."""

import functools
import importlib
import pkgutil
from typing import TypeGuard

from tinyguard import plugins
from tinyguard.errors import TinyguardError
from tinyguard.graph import Graph
from tinyguard.operators.base import Emission, Operator, Unsupported
from tinyguard.operators.target import PORTABLE, Target

__all__ = [
    "PORTABLE",
    "Emission",
    "Operator",
    "Target",
    "Unsupported",
    "operator_names",
    "registry",
    "resolve",
    "unsupported",
]


@functools.cache
def registry() -> dict[str, type[Operator]]:
    """Name -> the class that implements it: TFLite's builtin name, or that of a layer from the metadata.

    Operators of other packages are among them; those may take no name that is there.
    """
    classes: dict[str, type[Operator]] = {}
    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith("_") and module.name not in ("base", "target"):
            for value in vars(importlib.import_module(f"{__name__}.{module.name}")).values():
                if _is_operator(value):
                    classes.update(dict.fromkeys(value.names, value))
    for extension in plugins.brought():
        names = extension.value.names if _is_operator(extension.value) else ()
        for name in names:
            if classes.setdefault(name, extension.value) is not extension.value:
                raise plugins.taken("operator", name, extension.package)
    return classes


def _is_operator(value: object) -> TypeGuard[type[Operator]]:
    return isinstance(value, type) and issubclass(value, Operator)


def operator_names() -> list[str]:
    """Every supported TFLite builtin name, sorted."""
    return sorted(name for name, kind in registry().items() if kind.in_file)


def _attempt(graph: Graph) -> tuple[list[Operator], list[str]]:
    operators: list[Operator] = []
    problems: list[str] = []
    for node in graph.nodes:
        kind = registry().get(node.operator)
        try:
            if kind is None:
                raise Unsupported("no such operator here")
            operators.append(kind(graph, node))
        except Unsupported as reason:
            problems.append(f"{node.operator} '{graph.node_name(node)}': {reason}")
    return operators, problems


def unsupported(graph: Graph) -> list[str]:
    """What cannot be run, one line per node: operator, layer name, reason. Empty when all can."""
    return _attempt(graph)[1]


def resolve(graph: Graph) -> list[Operator]:
    """One resolved Operator a node, in execution order.

    Raises TinyguardError naming every unsupported node at once.
    """
    operators, problems = _attempt(graph)
    if problems:
        raise TinyguardError(f"{len(problems)} unsupported: " + "; ".join(problems))
    return operators
