# SPDX-License-Identifier: Apache-2.0
"""The names by which a firmware knows a library: tg_model's, or a prefix's, so that several can be linked."""

import re

from tinyguard.errors import TinyguardError

_MOST = 40  # characters; compilers tell apart far more
_PREFIX = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_EXAMPLE = "type a name such as --prefix keywords"
_OURS = ("tg", "tinyguard")  # what all generated C begins its own names with
_LIBRARIES = ("c", "g", "gcc", "m", "nosys")  # libNAME.a would hide the compiler's
_TARGETS = ("all", "clean", "help", "install", "package", "test")  # of CMake and make
# fmt: off
_KEYWORDS = (
    "auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum",
    "extern", "float", "for", "goto", "if", "inline", "int", "long", "register", "restrict", "return",
    "short", "signed", "sizeof", "static", "struct", "switch", "typedef", "union", "unsigned", "void",
    "volatile", "while",
)
# fmt: on
_DEFAULT_NAME = re.compile(
    r"(?P<macro>TG_MODEL)|(?P<model>tg_the_model)|(?P<archive>libtg_model)|(?P<file>tg_model)(?=\.[cho]\b)|"
    r"(?P<function>tg_model_)(?=[a-z])|(?P<target>tg_model)\b"
)


def check_prefix(prefix: str) -> None:
    """Raises TinyguardError unless C, make and CMake can all take names that begin with `prefix`."""
    if not _PREFIX.fullmatch(prefix):
        raise TinyguardError(
            f"--prefix {prefix!r} begins no C name: lower case letters, digits, single underscores between, "
            f"a letter first; {_EXAMPLE}"
        )
    if len(prefix) > _MOST:
        raise TinyguardError(f"--prefix has {len(prefix)} characters, {_MOST} are possible; {_EXAMPLE}")
    for taken, whose in (
        (_KEYWORDS, "a keyword of C"),
        (_LIBRARIES, "the compiler's own library"),
        (_TARGETS, "a word of make or CMake"),
    ):
        if prefix in taken:
            raise TinyguardError(f"--prefix {prefix!r} is {whose}; {_EXAMPLE}")
    if prefix.split("_")[0] in _OURS:
        raise TinyguardError(f"--prefix {prefix!r} begins as tinyguard's own names do; {_EXAMPLE}")


def renamed(text: str, prefix: str | None) -> str:
    """`text`, which uses the default names, with those of `prefix`.

    tg_model_init becomes PREFIX_init, TG_MODEL_ARENA_BYTES PREFIX_MODEL_ARENA_BYTES in upper case,
    tg_model.h PREFIX_model.h, libtg_model.a libPREFIX.a, and CMake's target tg_model PREFIX.
    """
    if prefix is None:
        return text
    new = {
        "macro": f"{prefix.upper()}_MODEL",
        "model": f"{prefix}_the_model",
        "archive": f"lib{prefix}",
        "file": f"{prefix}_model",
        "function": f"{prefix}_",
        "target": prefix,
    }
    return _DEFAULT_NAME.sub(lambda match: new[match.lastgroup or ""], text)
