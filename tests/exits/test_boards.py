# SPDX-License-Identifier: Apache-2.0
"""The firmware of a network with exits on this machine, under ASan and UBSan, over a serial line."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.device.host_board import HostBoard, compile_network_board
from tests.exits.boards import LOST, assert_nothing_is_lost, assert_policies, connected, told
from tests.exits.networks import POLICIES, codes, exits_file
from tinyguard import passes
from tinyguard.backends.device import DeviceBackend
from tinyguard.backends.reference import ReferenceBackend
from tinyguard.device.client import Device
from tinyguard.evaluation.traces import trace_device
from tinyguard.graph import Graph, with_settings
from tinyguard.tflite import read_graph

X = codes(40)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return passes.optimize(read_graph(exits_file()))


@pytest.fixture(scope="module")
def binary(graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_network_board(graph, tmp_path_factory.mktemp("exits"))


@pytest.fixture
def board(binary: Path) -> Iterator[HostBoard]:
    with HostBoard(binary) as running:
        yield running


def test_every_policy_is_answered_as_on_the_host(board: HostBoard, graph: Graph) -> None:
    with Device(board.port) as device:
        assert_policies(connected(device, graph), graph, X, POLICIES)


def test_the_mean_of_the_exits_is_answered_as_on_the_host(tmp_path: Path) -> None:
    graph = passes.optimize(read_graph(exits_file(answer="mean")))
    with HostBoard(compile_network_board(graph, tmp_path)) as board:
        for policy in POLICIES:
            used = with_settings(graph, policy.values())
            backend = DeviceBackend(board.port, used)
            for ours, theirs in zip(backend.run(X), ReferenceBackend(used).run(X), strict=True):
                np.testing.assert_array_equal(ours, theirs)
            backend.close()


def test_every_layer_is_seen_whatever_is_decided(board: HostBoard, graph: Graph) -> None:
    with Device(board.port) as device:
        connected(device, graph).set({"exit-policy": 1, "exit-confidence": (0, 0)})
        assert device.infer(X[0]).outputs[1].tolist()[0] == 1
        used, found = trace_device(device, graph, (X[:1],))
    expected = ReferenceBackend(used).tensors(X[:1])
    assert found.keys() == expected.keys()
    for index, tensor in expected.items():
        np.testing.assert_array_equal(found[index], tensor)


def test_a_back_end_puts_a_policy_in_force_in_one_frame_and_the_old_one_back(
    board: HostBoard, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[set[str]] = []
    give = Device.set
    monkeypatch.setattr(Device, "set", lambda self, values: (sent.append(set(values)), give(self, values)))
    used = with_settings(graph, {**POLICIES[2].values(), "exit-entropy": (5, 6)})
    backend = DeviceBackend(board.port, used)
    assert told(backend.device, graph) == {setting.name: setting.value for setting in used.settings}
    backend.close()
    changed = {"exit-policy", "exit-margin", "exit-entropy"}
    assert [names for names in sent if names] == [changed, changed]
    with Device(board.port) as device:
        file = {setting.name: setting.value for setting in graph.settings}
        assert told(connected(device, graph), graph) == file


def test_a_line_that_loses_bytes_changes_no_answer_and_no_policy(board: HostBoard, graph: Graph) -> None:
    assert LOST.drop == 0.01
    print(assert_nothing_is_lost(board.port, graph, X, changes=5, runs=4))
