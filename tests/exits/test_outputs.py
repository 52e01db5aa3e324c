# SPDX-License-Identifier: Apache-2.0
"""Which output is the answer: of a file with exits none can be chosen, and one without may become one."""

from __future__ import annotations

import pytest

from tests.exits.networks import exits_file, plain_file
from tinyguard.errors import TinyguardError
from tinyguard.graph.answer import answer_tensor, check_answer
from tinyguard.tflite import read_graph, with_one_output


def test_several_outputs_without_a_record_can_become_exits() -> None:
    with pytest.raises(
        TinyguardError, match=r"; type --output NAME\|N, or .* tinyguard quantize --exits auto$"
    ):
        check_answer(read_graph(plain_file()))
    assert answer_tensor(read_graph(exits_file())).name == "answer at exit 3"


@pytest.mark.parametrize("wanted", [0, "2", "nothing"])
def test_output_on_a_file_with_exits_is_refused(wanted: str | int) -> None:
    words = rf"^--output {wanted} on a network with exits, .*: type --exit N"
    with pytest.raises(TinyguardError, match=words):
        read_graph(exits_file(), output=wanted)
    with pytest.raises(TinyguardError, match=words):
        with_one_output(exits_file(), wanted)
