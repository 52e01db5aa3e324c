# SPDX-License-Identifier: Apache-2.0
"""Other libraries' chatter: kept in a file, shown only when something fails."""

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator

from tinyguard.errors import TinyguardError

SHOWN_LINES = 15


@contextlib.contextmanager
def quiet(doing: str, *, raw: bool = False) -> Iterator[None]:
    """Silence both standard streams, from Python and from C++, while `doing` something with another library.

    An exception is turned into a TinyguardError, after the last lines of the chatter went to stderr; with
    `raw` it passes as it is.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    failure = None
    with tempfile.TemporaryFile("w+", errors="replace") as chatter:
        with (
            _redirected(chatter.fileno()),
            contextlib.redirect_stdout(chatter),
            contextlib.redirect_stderr(chatter),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            try:
                yield
            except (TinyguardError, KeyboardInterrupt):
                raise
            except (Exception, SystemExit) as error:
                if raw:
                    raise
                failure = error
        if failure is not None:
            chatter.seek(0)
            sys.stderr.writelines(chatter.readlines()[-SHOWN_LINES:])
    if failure is not None:
        raise TinyguardError(f"{doing} failed: {one_line(failure)}") from failure


def one_line(error: BaseException) -> str:
    """An exception's first line that says something, cut to a screen line, with its type."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200] if lines else 'no message'}"


@contextlib.contextmanager
def _redirected(target: int) -> Iterator[None]:
    """File descriptors 1 and 2 point at `target`: what C++ writes never passes through sys.stdout."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    try:
        os.dup2(target, 1)
        os.dup2(target, 2)
        yield
    finally:
        os.dup2(kept[0], 1)
        os.dup2(kept[1], 2)
        os.close(kept[0])
        os.close(kept[1])
