# SPDX-License-Identifier: Apache-2.0
"""Policies as people type them: a kind and its thresholds, or one exit alone."""

from __future__ import annotations

import re

from tinyguard.errors import TinyguardError, unknown
from tinyguard.graph import Graph
from tinyguard.graph.exit_policy import KINDS, Policy, only_exit, threshold_count
from tinyguard.graph.multi_exit import check_exits, exit_tensors

_EXAMPLE = {"confidence": 230, "margin": 40, "entropy": 200, "patience": 2}


def typed_policy(graph: Graph, kind: str, thresholds: str | None) -> Policy:
    """The policy `kind` with thresholds as in "230,200", which a network with exits can have.

    Raises TinyguardError, in one line, for any other and for a network without exits.
    """
    exits = check_exits(graph)
    if kind not in KINDS:
        raise unknown("exit policy", kind, KINDS)
    wanted = threshold_count(kind, exits)
    hint = f"type --thresholds {','.join([str(_EXAMPLE[kind])] * wanted)}" if wanted else "leave them out"
    policy = Policy(kind, () if thresholds is None else _numbers(thresholds, hint))
    try:
        policy.check(exits, exit_tensors(graph)[0].elements)
    except TinyguardError as error:
        raise TinyguardError(f"{error}: {hint}") from None
    return policy


def typed_exit(graph: Graph, number: int) -> Policy:
    """The policy by which exit `number`, from 1, answers alone. Raises TinyguardError where there is none."""
    exits = check_exits(graph)
    try:
        return only_exit(number, exits)
    except TinyguardError as error:
        raise TinyguardError(f"{error}: type --exit {exits}, or less") from None


def parse_percent(text: str) -> float:
    """A fraction from "60%". Raises TinyguardError for anything else, and outside 0 to 100 %."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*%\s*", text)
    if found is None or not 0 < float(found[1]) <= 100:
        raise TinyguardError(f"a budget of {text!r} is no percentage up to 100: type --budget 60%")
    return float(found[1]) / 100


def _numbers(text: str, hint: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise TinyguardError(f"thresholds {text!r} are no whole numbers: {hint}") from None
