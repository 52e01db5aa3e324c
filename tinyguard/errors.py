"""The one exception a user sees."""


class TinyguardError(Exception):
    """Bad input or a missing tool.

    The message is one lower-case line: what is wrong, where (file, layer, port), what to type.
    The command line prints it as `error: ...` and exits with status 1.
    """
