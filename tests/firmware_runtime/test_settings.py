# SPDX-License-Identifier: Apache-2.0
"""Frames that set settings, right and wrong, against the runtime under ASan and UBSan: nothing is half set.

A model in Python says after each frame what every word of the settings is and how the board answers.
"""

from collections.abc import Mapping
from pathlib import Path

from tests.device.host_board import (
    SETTINGS,
    SOURCES,
    compile_network_board,
    compile_runtime,
    fake_inputs,
)
from tests.exits.networks import codes, exits_file, outputs_under
from tests.firmware_runtime.settings_model import Network, Values, check_frames
from tinyguard import passes
from tinyguard.device.protocol import ErrorCode
from tinyguard.exits.measured import measure
from tinyguard.graph.exit_policy import read_policy
from tinyguard.tflite import read_graph

FRAMES = 20_000


def _assert_all_refusals(seen: Mapping[ErrorCode, int]) -> None:
    for code in ("OK", "LENGTH", "INDEX", "RANGE", "ORDER"):
        assert seen[ErrorCode[code]] > 500, (code, seen)


def test_twenty_thousand_frames_leave_nothing_half_set(tmp_path: Path) -> None:
    binary = compile_runtime(
        tmp_path / "board", [SOURCES / "settings_frames.c", SOURCES / "fake_model.c"], main=False
    )
    sample = [array[0].tobytes() for array in fake_inputs(1, seed=1)]
    seen, _ = check_frames(binary, Network(SETTINGS, 3, [sample]), FRAMES, seed=7)
    _assert_all_refusals(seen)


def test_twenty_thousand_frames_leave_no_policy_half_set(tmp_path: Path) -> None:
    """On the generated C of a network with exits, whose whole inferences answer by the policy in force."""
    graph = passes.optimize(read_graph(exits_file()))
    binary = compile_network_board(graph, tmp_path, SOURCES / "settings_frames.c", main=False)
    x = codes(20)
    measured = measure(graph, x)
    exits: set[int] = set()

    def outputs(values: Values, row: int) -> bytes:
        policy, sample = read_policy(values), measured.select([row])
        assert policy is not None
        exits.update(sample.taken(policy).tolist())
        return b"".join(output.tobytes() for output in outputs_under(sample, policy))

    network = Network(graph.settings, len(graph.nodes), [[row.tobytes()] for row in x], outputs)
    seen, runs = check_frames(binary, network, FRAMES, seed=8)
    _assert_all_refusals(seen)
    assert exits == {0, 1, 2}
    assert runs > 500
