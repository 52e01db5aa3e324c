# SPDX-License-Identifier: Apache-2.0
"""What commands share that read one .tflite file and write another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tinyguard.cli._options import progress_console
from tinyguard.errors import TinyguardError


@contextmanager
def rewriting(model: Path, output: Path | None, answer: str | None = None) -> Iterator[bytes]:
    """The content of `model`, whose name goes before errors inside; `output` needs a folder to lie in, None
    where nothing is to be written.

    `answer` is the name or number of the one output that is kept; None keeps all.
    """
    from tinyguard.tflite import with_one_output
    from tinyguard.tflite.content import read_bytes

    if output is not None and not output.absolute().parent.is_dir():
        raise TinyguardError(f"folder {output.parent} is not there: type mkdir -p {output.parent}")
    content = read_bytes(model)
    try:
        yield content if answer is None else with_one_output(content, answer)
        if answer is not None:
            progress_console.print(f"output {answer} is the only one of {output}", soft_wrap=True)
    except TinyguardError as error:
        text = str(error)
        raise TinyguardError(text if text.startswith(str(model)) else f"{model}: {text}") from None
