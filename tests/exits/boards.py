# SPDX-License-Identifier: Apache-2.0
"""A board that runs a network with exits, whatever it is: it answers as the host does under every policy."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable, Sequence

import numpy as np
import pytest

from tests.device.proxy import Faults, Proxy
from tests.exits.networks import outputs_under
from tinyguard.device.client import Device
from tinyguard.device.failures import DeviceError
from tinyguard.device.handshake import ask
from tinyguard.device.protocol import SETTINGS_ENTRY, Command, Settings
from tinyguard.exits.measured import Measured, measure
from tinyguard.graph import Graph, Setting
from tinyguard.graph.exit_policy import (
    KINDS,
    Policy,
    never_leaves,
    read_policy,
    threshold_count,
    threshold_range,
)

LOST = Faults(drop=0.01, seed=5)


def connected(device: Device, graph: Graph) -> Device:
    """The same, ready to be asked and set."""
    device.connect(graph.sha256)
    device.declare(graph.settings)
    return device


def told(device: Device, graph: Graph) -> dict[str, tuple[int, ...]]:
    """Every setting as the board has it."""
    return {setting.name: device.tell(setting.name).value for setting in graph.settings}


def assert_answers(device: Device, measured: Measured, policy: Policy, x: np.ndarray) -> np.ndarray:
    """All outputs of the board under the policy that it has; the counts, int64 (N,)."""
    batch = device.run(x)
    for ours, theirs in zip(batch.outputs, outputs_under(measured, policy), strict=True):
        np.testing.assert_array_equal(ours.reshape(theirs.shape), theirs)
    return batch.counts


def assert_policies(device: Device, graph: Graph, x: np.ndarray, policies: Iterable[Policy]) -> None:
    """One policy after the other, set over the wire; last the file's again. No reset in between."""
    measured, file = measure(graph, x), read_policy({s.name: s.value for s in graph.settings})
    assert file is not None
    assert_answers(device, measured, file, x)
    for policy in policies:
        device.set(policy.values())
        assert_answers(device, measured, policy, x)
    device.restore()
    assert_answers(device, measured, file, x)


def assert_nothing_is_lost(port: str, graph: Graph, x: np.ndarray, changes: int, runs: int) -> str:
    """`changes` policies over a line that loses 1 % of the bytes, right ones and wrong ones, and `runs`
    inferences under each: every answer is right, and the settings are what they should be. What it took."""
    draws, measured = random.Random(changes), measure(graph, x)
    exits, classes = measured.exits, measured.scores.shape[2]
    values = {setting.name: setting.value for setting in graph.settings}
    with Proxy(port, LOST) as proxy, Device(proxy.port) as device:
        connected(device, graph)
        for change in range(changes):
            policy = _drawn(draws, exits, classes)
            device.set(policy.values())
            values |= policy.values()
            assert told(device, graph) == values
            with pytest.raises(DeviceError):
                ask(device.link, Command.SETTINGS, _wrong(draws, graph.settings, exits), 0)
            assert told(device, graph) == values
            rows = np.arange(change * runs, (change + 1) * runs) % len(x)
            assert_answers(device, measured.select(rows), policy, x[rows])
        assert device.link.retries > 0
        return f"{changes * runs} inferences, {changes} policies, {device.link.retries} retries"


def _drawn(draws: random.Random, exits: int, classes: int) -> Policy:
    kind = draws.choice(KINDS)
    low, high = threshold_range(kind, exits, classes) if kind != "never" else (0, 0)
    return Policy(kind, tuple(draws.randint(low, high) for _ in range(threshold_count(kind, exits))))


def _wrong(draws: random.Random, settings: Sequence[Setting], exits: int) -> bytes:
    """A policy whose second half cannot be: a threshold beyond its range, or one too few or too many."""
    kind = draws.choice(KINDS[1:])
    place = KINDS.index(kind)
    count = threshold_count(kind, exits)
    thresholds = [never_leaves(kind, exits)] * count
    match draws.randrange(3):
        case 0:
            thresholds[-1] += 5000
        case 1:
            thresholds.append(thresholds[-1])
        case _:
            thresholds.pop()
    names = [setting.name for setting in settings]
    payload = bytes([Settings.SET])
    for name, words in (("exit-policy", [place]), (f"exit-{kind}", thresholds)):
        payload += SETTINGS_ENTRY.pack(index=names.index(name), words=len(words))
        payload += struct.pack(f"<{len(words)}i", *words)
    return payload
