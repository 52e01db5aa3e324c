# SPDX-License-Identifier: Apache-2.0
from tinyguard.device.pace import ChunkSize, Patience


def test_chunk_halves_when_a_request_fails_twice_and_grows_after_a_clean_run() -> None:
    chunk = ChunkSize(1024)
    assert not chunk.failed(1000, 1, heard=True)
    assert chunk.failed(1000, 2, heard=True)
    assert chunk.bytes == 500
    for _ in range(ChunkSize.CLEAN_RUN - 1):
        chunk.succeeded(1)
    assert chunk.bytes == 500
    chunk.succeeded(1)
    assert chunk.bytes == 1000
    for _ in range(ChunkSize.CLEAN_RUN):
        chunk.succeeded(1)
    assert chunk.bytes == 1024


def test_chunk_reaches_its_least_within_a_few_failures_and_stays() -> None:
    chunk = ChunkSize(4096)
    requests = 0
    while chunk.bytes > 32:
        assert chunk.failed(chunk.bytes, 2, heard=True)
        requests += 1
    assert requests == 7
    assert not chunk.failed(32, 9, heard=True)
    assert chunk.bytes == 32


def test_an_outage_costs_one_halving() -> None:
    chunk = ChunkSize(1024)
    assert chunk.failed(1024, 2, heard=False)
    assert not chunk.failed(512, 2, heard=False)
    assert not chunk.failed(512, 20, heard=False)
    assert chunk.failed(512, 21, heard=True)


def test_a_failed_run_breaks_the_row_of_clean_ones() -> None:
    chunk = ChunkSize(1024)
    assert chunk.failed(1024, 2, heard=True)
    for _ in range(20):
        chunk.succeeded(1)
        chunk.succeeded(3)
    assert chunk.bytes == 512


def test_patience_follows_the_latencies() -> None:
    patience = Patience()
    before = patience.timeout_s("run", True, 0)
    for _ in range(50):
        patience.learn("run", 0.1)
    settled = patience.timeout_s("run", True, 0)
    assert 0.1 < settled < 0.2 < before
    assert settled < patience.timeout_s("run", True, 1) < patience.timeout_s("run", True, 2)
    assert patience.timeout_s("run", True, 50) <= 0.5
    assert patience.timeout_s("other", True, 0) == before


def test_one_outage_does_not_spoil_the_estimate() -> None:
    patience = Patience()
    for _ in range(20):
        patience.learn("write", 0.005)
    usual = patience.timeout_s("write", False, 0)
    patience.learn("write", 3.0)
    assert patience.timeout_s("write", False, 0) < usual + 0.1
