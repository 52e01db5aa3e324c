# SPDX-License-Identifier: Apache-2.0
"""A package that brings a section and an operator, installed for one test and its child processes."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.emulated.conftest import flashed as flashed
from tinyguard import attacks, operators, plugins
from tinyguard.campaigns import code_digest
from tinyguard.graph import answer
from tinyguard.tflite import Metadata, read_metadata, record, with_metadata

DIGITS = Path(__file__).parents[2] / "models" / "digits" / "model.tflite"
TOY = Path(__file__).parent / "toy"
CACHES = (
    code_digest._digest,
    code_digest._content,
    code_digest._imports,
    plugins.brought,
    operators.registry,
    record.registry,
    attacks.registry,
    answer.roles,
)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Puts a package on the path as pip would: its folder, and what it declares as tinyguard's plugin."""

    def installed(declares: str, folder: Path, version: str = "1.0") -> None:
        site = tmp_path / "site"
        info = site / "toy.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: toy\nVersion: {version}\n")
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
def toy(install: Callable[..., None]) -> Path:
    """The toy package, installed; the folder of its code."""
    install("toy_mark = tinyguard_toy", TOY)
    return TOY


def marked(above: int, model: bytes | None = None) -> bytes:
    """The file, by default digits, with the toy section."""
    from tinyguard_toy.section import Mark

    content = DIGITS.read_bytes() if model is None else model
    record = (read_metadata(content) or Metadata()).with_section("toy_mark", Mark(above))
    return with_metadata(content, record)


def _forget() -> None:
    for cache in CACHES:
        cache.cache_clear()
