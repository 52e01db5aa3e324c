# SPDX-License-Identifier: Apache-2.0
"""Local workers: what they are given, and what is said of one that dies."""

import os
import signal
import sys

import pytest

from tinyguard.campaigns.workers import WorkerDiedError, local_workers, module_folders
from tinyguard.device.failures import NonsenseError
from tinyguard.errors import TinyguardError


def test_calls_and_errors_come_back():
    with local_workers(2) as (executor, width):
        assert width == 2
        assert [f.result() for f in [executor.submit(divmod, n, 3) for n in range(5)]] == [
            divmod(n, 3) for n in range(5)
        ]
        with pytest.raises(ZeroDivisionError):
            executor.submit(divmod, 1, 0).result()
        assert executor.submit(print, "not an answer").result() is None


def test_what_cannot_be_handed_back_costs_no_worker():
    with local_workers(1) as (executor, _):
        process = executor.submit(os.getpid).result()
        with pytest.raises(TinyguardError, match="answered HELLO with something else"):
            executor.submit(_misunderstand, "port").result()
        with pytest.raises(TypeError, match="cannot pickle"):
            executor.submit(open, os.devnull).result()
        assert executor.submit(os.getpid).result() == process


def _misunderstand(port: str) -> None:
    raise NonsenseError(port, 1)


def test_a_file_beside_the_caller_is_no_module(tmp_path, monkeypatch):
    (tmp_path / "pickle.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    with local_workers(1) as (executor, _):
        assert executor.submit(os.path.basename, "a/b").result() == "b"


def test_a_folder_that_is_a_package_is_no_place_for_modules(tmp_path, monkeypatch):
    """As a failed import of OpenCV leaves its own, in which a `typing` lies."""
    package = tmp_path / "half_imported"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "typing.py").write_text("raise ImportError('not this one')")
    monkeypatch.syspath_prepend(str(package))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert str(package) not in module_folders()
    assert str(tmp_path) in module_folders()
    with local_workers(1) as (executor, _):
        assert executor.submit(os.path.basename, "a/b").result() == "b"


@pytest.mark.parametrize(
    ("call", "argument", "said"),
    [
        (signal.raise_signal, signal.SIGKILL, r"^a worker was killed, perhaps for memory$"),
        (signal.raise_signal, signal.SIGTERM, r"^a worker died \(SIGTERM\)$"),
        (sys.exit, "out of ideas", r'^a worker died \(exit status 1\): "out of ideas"$'),
    ],
)
def test_one_that_dies_is_reported_with_its_last_line(call, argument, said):
    with local_workers(1) as (executor, _), pytest.raises(WorkerDiedError, match=said):
        executor.submit(call, argument).result()
