# SPDX-License-Identifier: Apache-2.0
"""Budgets as people give them and as attacks use them: fractions of the pixel range, and whole codes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tinyguard.data.shares import Shares, whole_steps
from tinyguard.errors import TinyguardError

_SLACK = 1e-4  # of a budget, for sums in float32


def parse_eps(text: str, shares: Shares) -> float:
    """`8/255`, `0.03` (fractions of the pixel range) or `2codes`, as a fraction.

    Codes of channels that differ in size are taken at the largest. Raises TinyguardError for anything
    that is no finite number above 0.
    """
    body = text.strip().lower()
    in_codes = body.endswith(("code", "codes"))
    number = body.removesuffix("s").removesuffix("code").strip() if in_codes else body
    try:
        above, _, below = number.partition("/")
        value = float(above) / (float(below) if "/" in number else 1.0)
    except (ValueError, ZeroDivisionError):
        raise TinyguardError(f"eps {text!r} is no number: type 8/255, 0.03 or 2codes") from None
    if not math.isfinite(value) or value <= 0:
        raise TinyguardError(f"eps {text!r} is not a finite number above 0: type 8/255, 0.03 or 2codes")
    return value * max(shares.step) if in_codes else value


def check_eps(eps: float, norm: str) -> None:
    """Raise TinyguardError for a budget that is NaN, not above 0, in Linf over the whole range, or in L0,
    which counts elements, under one."""
    if not math.isfinite(eps) or eps <= 0:
        raise TinyguardError(f"eps {eps} is not a finite number above 0: type 8/255, 0.03 or 2codes")
    if norm == "linf" and eps > 1:
        raise TinyguardError(
            f"eps {eps:g} is over the whole pixel range, which is 1: type --eps {eps:g}/255 or {eps:g}codes"
        )
    if norm == "l0" and eps < 1:
        raise TinyguardError(f"eps {eps:g} allows no change at all, as L0 counts elements: type --eps 20")


def eps_codes(eps: float, steps: Sequence[float]) -> int | list[int]:
    """Whole codes inside `eps`, with one code worth `steps` of the pixel range per channel: one number, or
    one per channel where they differ."""
    whole = whole_steps(eps, np.asarray(steps)).tolist()
    return whole[0] if len(set(whole)) == 1 else whole


def inside(distances: np.ndarray, eps: float) -> np.ndarray:
    """Whether each of the distances, of [0, 1] pixels, keeps `eps`; they are sums in float32."""
    kept: np.ndarray = distances <= eps * (1 + _SLACK)
    return kept


def equal_budgets(budgets: Sequence[float], steps: Sequence[float]) -> dict[float, float]:
    """Each Linf budget's first equal: budgets that come to the same whole steps of the grid are one.

    `steps`: the size of a grid step in [0, 1] pixels, one per channel.
    """
    first: dict[str, float] = {}
    return {eps: first.setdefault(str(eps_codes(eps, steps)), eps) for eps in budgets}
