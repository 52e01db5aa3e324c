"""A package that brings a section and an operator, installed for one test and its child processes."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tinyguard import operators, plugins
from tinyguard.graph import answer
from tinyguard.tflite import record

TOY = Path(__file__).parent / "toy"
CACHES = (plugins.brought, operators.registry, record.registry, answer.roles)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, Path], None]]:
    """Puts a package on the path as pip would: its folder, and what it declares as tinyguard's plugin."""

    def installed(declares: str, folder: Path) -> None:
        site = tmp_path / "site"
        info = site / "toy-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{plugins.GROUP}]\n{declares}\n")
        for place in (folder, site):
            monkeypatch.syspath_prepend(str(place))
        old = os.environ.get("PYTHONPATH")
        path = [str(site), str(folder), *([old] if old else [])]
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
        _forget()

    yield installed
    monkeypatch.undo()
    for name in [name for name in sys.modules if name.partition(".")[0] == "tinyguard_toy"]:
        del sys.modules[name]
    _forget()


@pytest.fixture
def toy(install: Callable[[str, Path], None]) -> Path:
    """The toy package, installed; the folder of its code."""
    install("toy_mark = tinyguard_toy", TOY)
    return TOY


def _forget() -> None:
    for cache in CACHES:
        cache.cache_clear()
