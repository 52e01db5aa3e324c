# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.device.host_board import HostBoard, compile_host_board


@pytest.fixture(scope="session")
def host_board_binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Inputs of 64 bytes and chunks of 256: a sample fits one frame."""
    return compile_host_board(tmp_path_factory.mktemp("board") / "board")


@pytest.fixture(scope="session")
def large_board_binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Inputs of 3004 bytes and chunks of 256: a sample travels in pieces."""
    return compile_host_board(tmp_path_factory.mktemp("large") / "board", x=3000)


@pytest.fixture
def host_board(host_board_binary: Path) -> Iterator[HostBoard]:
    with HostBoard(host_board_binary) as board:
        yield board


@pytest.fixture
def large_board(large_board_binary: Path) -> Iterator[HostBoard]:
    with HostBoard(large_board_binary) as board:
        yield board
