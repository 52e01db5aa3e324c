# SPDX-License-Identifier: Apache-2.0
"""Local processes that work on the pieces of a study, and what is said of one that dies."""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from tinyguard.errors import TinyguardError
from tinyguard.quiet import one_line

_PARENT_POLL_S = 1.0
_END_S = 5.0
_KEPT_BYTES = 4096
_PROGRAM = """\
import pickle, sys
sys.path[:] = pickle.load(sys.stdin.buffer)
from tinyguard.campaigns.workers import serve
serve()
"""


class WorkerDiedError(TinyguardError):
    """A worker ended in the middle of its work; the message has its last line. `killed`: by SIGKILL."""

    killed = False


@contextmanager
def local_workers(jobs: int) -> Iterator[tuple[Executor, int]]:
    """`jobs` processes that share the cores torch would use (OMP_NUM_THREADS), and end when this one does.

    Each is a Python of its own, started by name: unlike multiprocessing's, it does not run the parent's main
    module again and takes no folder over from a half-imported package.
    """
    import torch

    workers = _Workers(jobs, max(1, torch.get_num_threads() // jobs))
    try:
        yield workers, jobs
    finally:
        workers.shutdown(wait=False, cancel_futures=True)


def module_folders() -> list[str]:
    """This process's places to look for modules, without folders that are packages themselves: what a failed
    import leaves there hides modules of Python's own."""
    return [place for place in sys.path if not (Path(place or ".") / "__init__.py").exists()]


class _Workers(Executor):
    """One thread for each process: it hands a call over and waits for what comes back."""

    def __init__(self, jobs: int, threads: int) -> None:
        self._callers = ThreadPoolExecutor(jobs, thread_name_prefix="worker")
        self._threads = threads
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._all: list[_Worker] = []
        self._ended = False

    def submit(self, call: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        return self._callers.submit(self._run, call, arguments, named)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._callers.shutdown(wait=wait, cancel_futures=cancel_futures)
        with self._lock:
            self._ended = True
        for worker in self._all:
            worker.end()

    def _run(self, call: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        try:
            worker = self._idle.get_nowait()
        except queue.Empty:
            worker = self._begun()
        try:
            result, error = worker.ask((call, arguments, named))
        except WorkerDiedError:
            worker.end()
            raise
        self._idle.put(worker)
        if error is not None:
            raise error
        return result

    def _begun(self) -> _Worker:
        with self._lock:
            if self._ended:
                raise WorkerDiedError("the workers have been ended")
            worker = _Worker(self._threads)
            self._all.append(worker)
        return worker


class _Worker:
    """A process that takes pickled calls on its standard input and answers on its standard output."""

    def __init__(self, threads: int) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (as long as the process)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM, str(threads), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
        )
        self._before: bytes = pickle.dumps(module_folders())

    def ask(self, call: Any) -> tuple[Any, BaseException | None]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request, self._before = self._before + pickle.dumps(call), b""
        try:
            self._process.stdin.write(request)
            self._process.stdin.flush()
            answer: tuple[Any, BaseException | None] = pickle.load(self._process.stdout)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError):
            raise self._epitaph() from None
        return answer

    def end(self) -> None:
        """Kill it; whoever waits for its answer gets an error."""
        self._process.kill()
        self._process.wait()

    def _epitaph(self) -> WorkerDiedError:
        try:
            status = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        line = self._last_line()
        said = f': "{line}"' if line else ""
        how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        killed = status == -signal.SIGKILL
        error = WorkerDiedError(
            f"a worker was killed, perhaps for memory{said}" if killed else f"a worker died ({how}){said}"
        )
        error.killed = killed
        return error

    def _last_line(self) -> str:
        self._said.seek(max(0, self._said.seek(0, os.SEEK_END) - _KEPT_BYTES))
        lines = self._said.read().decode(errors="replace").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


def serve() -> None:
    """A worker's life: calls until the parent closes the pipe or is gone."""
    threads, parent = map(int, sys.argv[1:])
    calls, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    import torch

    torch.set_num_threads(threads)
    while (call := _next(calls)) is not None:
        answers.write(_answer(*call))
        answers.flush()


def _next(calls: BinaryIO) -> Any:
    try:
        return pickle.load(calls)
    except EOFError:
        return None


def _answer(call: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]) -> bytes:
    """The result and None, or None and the error, pickled. An error that would not come back as it is does so
    as a TinyguardError of its words."""
    try:
        return pickle.dumps((call(*arguments, **named), None))
    except TinyguardError as error:
        return pickle.dumps((None, TinyguardError(str(error))))
    except Exception as error:
        try:
            answer = pickle.dumps((None, error))
            pickle.loads(answer)
        except Exception:
            return pickle.dumps((None, TinyguardError(one_line(error))))
        return answer


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_PARENT_POLL_S)
    os._exit(1)
