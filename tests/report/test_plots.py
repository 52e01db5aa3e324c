# SPDX-License-Identifier: Apache-2.0
"""The plots of attacks' figures: PNG files, the same bytes for the same figures."""

from pathlib import Path

import numpy as np
import pytest

from tinyguard.errors import TinyguardError
from tinyguard.report.attenuation_plot import write_attenuation
from tinyguard.report.gradients_plot import write_gradients
from tinyguard.report.loss_surface import write_loss_surface
from tinyguard.report.plot import check_plot
from tinyguard.robustness.trust.attenuation import Attenuation
from tinyguard.robustness.trust.gradients import Agreement, GradientFigures, OneCode
from tinyguard.robustness.trust.surface import LossSurface

pytest.importorskip("matplotlib")

SHARES = np.linspace(0, 1, 20)


def _png(path: Path) -> bytes:
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(content) > 5000
    return content


def _surface(change: float) -> LossSurface:
    steps = np.arange(-4, 5)
    loss = np.add.outer(steps, change * steps).astype(np.float32)
    return LossSurface(steps, loss, (loss > 2).astype(np.int64), 0, 7, 2.0)


def test_a_loss_surface(tmp_path):
    write_loss_surface(tmp_path / "a.png", _surface(0.5))
    write_loss_surface(tmp_path / "b.png", _surface(0.5))
    write_loss_surface(tmp_path / "c.png", _surface(0.0))
    assert _png(tmp_path / "a.png") == _png(tmp_path / "b.png") != _png(tmp_path / "c.png")


def test_attenuation(tmp_path):
    points = [Attenuation(e / 255, e, 50, 1 - e / 2, 0.5, 1 - e, e, 0, 0, 1, e / 255) for e in (0.2, 0.9)]
    write_attenuation(tmp_path / "a.png", points)
    _png(tmp_path / "a.png")


def test_gradients_with_and_without_a_float_source(tmp_path):
    same = OneCode(SHARES, SHARES, SHARES, SHARES)
    alone = GradientFigures(SHARES, same, None, "l2", 1 / 255, SHARES, None)
    write_gradients(tmp_path / "a.png", alone)
    both = GradientFigures(SHARES, same, Agreement(SHARES, SHARES), "l2", 1 / 255, SHARES, np.zeros(0))
    write_gradients(tmp_path / "b.png", both)
    assert _png(tmp_path / "a.png") != _png(tmp_path / "b.png")


@pytest.mark.parametrize(("name", "says"), [("a.svg", "end it in .png"), ("missing/a.png", "no folder")])
def test_names_are_checked_before_the_work(tmp_path, name, says):
    with pytest.raises(TinyguardError, match=says):
        check_plot(tmp_path / name)
