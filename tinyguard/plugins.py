# SPDX-License-Identifier: Apache-2.0
"""What other installed packages bring: sections of the metadata record, operators, roles, attacks.

Such a package declares an entry point in its pyproject.toml:

    [project.entry-points."tinyguard.plugins"]
    exits = "early_exits.parts"

The entry names a module, whose public variables count, or a callable without arguments that returns what
counts. Each registry takes what is of its kind, as it does from tinyguard's own files. The installed packages
are searched once, when the first registry is asked.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tinyguard.errors import TinyguardError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "tinyguard.plugins"


@dataclass(frozen=True)
class Brought:
    """One thing that `package` brings, in this `version`."""

    value: Any
    package: str
    version: str


@functools.cache
def brought() -> tuple[Brought, ...]:
    """All that the installed packages bring. Raises TinyguardError for an entry that cannot be loaded."""
    from importlib.metadata import entry_points

    entries = sorted(entry_points(group=GROUP), key=lambda entry: (_package(entry), entry.name))
    return tuple(
        Brought(value, _package(entry), _version(entry)) for entry in entries for value in _values(entry)
    )


def packages_of(values: Iterable[Any]) -> dict[str, str]:
    """The packages that bring any of `values`, sorted, with their versions."""
    wanted = list(values)
    versions = {
        extension.package: extension.version
        for extension in brought()
        if any(extension.value is value for value in wanted)
    }
    return dict(sorted(versions.items()))


def taken(kind: str, name: str, package: str) -> TinyguardError:
    """That a package brings a `kind` (section, operator) whose name another has already."""
    return TinyguardError(
        f"the package {package} brings the {kind} {name!r}, which is there already: uninstall {package}"
    )


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.module


def _version(entry: EntryPoint) -> str:
    return entry.dist.version if entry.dist is not None else ""


def _values(entry: EntryPoint) -> Iterator[Any]:
    try:
        loaded = entry.load()
        if isinstance(loaded, ModuleType):
            values = [value for name, value in vars(loaded).items() if not name.startswith("_")]
        else:
            values = list(loaded())
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else "no reason given"
        raise TinyguardError(
            f"the package {_package(entry)} brings {entry.value!r} to tinyguard, which cannot be loaded "
            f"({type(error).__name__}: {reason}): update or uninstall {_package(entry)}"
        ) from error
    yield from values
