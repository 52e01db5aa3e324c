# SPDX-License-Identifier: Apache-2.0
"""Plots as PNG files, drawn with matplotlib where it is installed."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from typing import Any

from tinyguard.errors import TinyguardError
from tinyguard.files import write_atomically


def check_plot(path: Path) -> None:
    """Raise TinyguardError unless a PNG can be written to `path`: call it before the work."""
    if path.suffix.lower() != ".png":
        raise TinyguardError(f"{path} is no picture's name: end it in .png")
    if not path.absolute().parent.is_dir():
        raise TinyguardError(f"no folder {path.absolute().parent} to write {path.name} into")
    if not can_plot():
        raise TinyguardError("pictures need matplotlib: type pip install 'tinyguard[report]'")


def can_plot() -> bool:
    """Whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def new_figure(width: float, height: float) -> Any:
    """An empty matplotlib Figure; sizes in inches."""
    from matplotlib.figure import Figure

    return Figure(dpi=120, figsize=(width, height), layout="constrained")


def write_plot(path: Path, figure: Any) -> None:
    """The figure as PNG, alike byte for byte in every run."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    stream = io.BytesIO()
    FigureCanvasAgg(figure).print_png(stream, metadata={"Software": None})
    write_atomically(path, stream.getvalue())
