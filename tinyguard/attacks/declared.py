# SPDX-License-Identifier: Apache-2.0
"""Which attacks there are: the classes of this folder and of plug-ins that say their `name`.

This folder's sources are read and not imported, so that `--help` needs no PyTorch and is quick. A class body
says `name` and `summary`; what it leaves out it may inherit from a class of this folder.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinyguard import plugins
from tinyguard.errors import TinyguardError, unknown

if TYPE_CHECKING:
    from tinyguard.attacks.problem import Attack

PACKAGE = "tinyguard.attacks"
ACCESS = ("gradient", "score", "decision")
_FOLDER = Path(__file__).parent
_SAID = ("name", "summary", "access", "budgeted", "norms")


@dataclass(frozen=True)
class Declared:
    """An attack as its class declares it (see `problem.Attack`), and where that class is."""

    name: str
    summary: str
    access: str
    budgeted: bool
    norms: tuple[str, ...]
    module: str
    cls: str

    def load(self) -> type[Attack]:
        """The class itself; its module is imported."""
        attack: type[Attack] = getattr(importlib.import_module(self.module), self.cls)
        return attack


@functools.cache
def registry() -> Mapping[str, Declared]:
    """All attacks by name: those that take gradients, then scores, then decisions, each sorted.

    Raises TinyguardError for a plug-in that cannot be loaded, whose attack declares too little, or whose
    attack has the name of another.
    """
    attacks = dict(own())
    for entry in plugins.brought():
        if isinstance(entry.value, type) and _is_attack(entry.value):
            said = {key: getattr(entry.value, key, None) for key in _SAID}
            said["summary"] = vars(entry.value).get("summary")
            declared = _checked(said, entry.value.__module__, entry.value.__qualname__, entry.package)
            if attacks.setdefault(declared.name, declared) != declared:
                raise plugins.taken("attack", declared.name, entry.package)
    return in_order(attacks)


@functools.cache
def own() -> Mapping[str, Declared]:
    """The attacks of this folder by name, in the order of `registry`."""
    attacks = {}
    for path in sorted(_FOLDER.glob("*.py")):
        module = f"{PACKAGE}.{path.stem}"
        for cls, body in _bodies(module).items():
            if "name" in body:
                said = _inherited(module, cls) | {"summary": body.get("summary")}
                attacks[said["name"]] = _checked(said, module, cls)
    return in_order(attacks)


def find_attack(name: str) -> type[Attack]:
    """The class of an attack. Raises TinyguardError with the nearest name for an unknown one."""
    if name not in registry():
        raise unknown("attack", name, registry())
    return registry()[name].load()


def in_order(attacks: Mapping[str, Declared]) -> dict[str, Declared]:
    """Sorted by what the attacks see of a network, then by name."""
    ordered = sorted(attacks.values(), key=lambda attack: (ACCESS.index(attack.access), attack.name))
    return {attack.name: attack for attack in ordered}


@functools.cache
def _classes(module: str) -> dict[str, ast.ClassDef | str]:
    """The classes that a module of this folder defines, and the names of the modules here that it imports
    others from."""
    tree = ast.parse((_FOLDER / f"{module.rpartition('.')[2]}.py").read_text())
    classes: dict[str, ast.ClassDef | str] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            classes[node.name] = node
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PACKAGE}."):
            classes |= {alias.name: str(node.module) for alias in node.names}
    return classes


def _bodies(module: str) -> dict[str, dict[str, Any]]:
    """What each class that a module defines says itself: the literals of its annotated names."""
    own_classes = {k: node for k, node in _classes(module).items() if isinstance(node, ast.ClassDef)}
    return {name: dict(_literals(node)) for name, node in own_classes.items()}


def _inherited(module: str, cls: str) -> dict[str, Any]:
    """What a class says, over what its bases say, as far as they are of this folder."""
    node = _classes(module).get(cls)
    if isinstance(node, str):
        return _inherited(node, cls)
    if node is None:
        return {}
    bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
    said: dict[str, Any] = {}
    for base in reversed(bases):
        said |= _inherited(module, base)
    return said | dict(_literals(node))


def _literals(node: ast.ClassDef) -> Iterator[tuple[str, Any]]:
    for line in node.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and line.target.id in _SAID:
            with contextlib.suppress(ValueError, TypeError):  # what is no constant counts as not said
                yield line.target.id, ast.literal_eval(line.value)  # type: ignore[arg-type]


def _is_attack(value: type) -> bool:
    """Whether a plug-in's class is an attack of its own: it says its name, and can be run."""
    named = isinstance(vars(value).get("name"), str) and callable(getattr(value, "run", None))
    return named and hasattr(value, "access") and not value.__module__.startswith(f"{PACKAGE}.")


def _checked(said: Mapping[str, Any], module: str, cls: str, package: str = "tinyguard") -> Declared:
    """Raises TinyguardError for an attack that leaves something out, or whose access nothing knows."""
    whose = f"the attack {said['name']!r} ({module}.{cls}) of the package {package}"
    for key in _SAID:
        if said.get(key) is None:
            raise TinyguardError(f"{whose} declares no {key}: write it as a constant in the class")
    if said["access"] not in ACCESS:
        raise TinyguardError(f"{whose} has the access {said['access']!r}; known: {', '.join(ACCESS)}")
    return Declared(**{key: said[key] for key in _SAID}, module=module, cls=cls)
