# SPDX-License-Identifier: Apache-2.0
"""What the file says of its outputs: roles as they were typed, and values where targets are real."""

from collections.abc import Mapping, Sequence

from tinyguard.errors import TinyguardError, unknown
from tinyguard.graph import Graph
from tinyguard.graph.answer import VALUES, output_place, roles
from tinyguard.tflite.record.outputs import Roles


def parse_roles(texts: Sequence[str]) -> dict[str, str]:
    """`--role ROLE` or `--role NAME|N=ROLE` as name or number, "" where none is typed, to role."""
    chosen = {}
    for text in texts:
        name, _, role = text.rpartition("=")
        known = [each.name for each in roles().values() if not each.beside]
        if role not in known:
            raise unknown("role", role, known)
        chosen[name] = role
    return chosen


def stated_roles(graph: Graph, wanted: Mapping[str, str], real: Sequence[int]) -> Roles | None:
    """A role per output, None for those of which nothing is said; None where nothing is said at all.

    `wanted` as `parse_roles` gives it; `real` are the numbers of outputs that were judged by real targets.
    Raises TinyguardError for an output that is not there, and for a role without one where there are several.
    """
    said: list[str | None] = [None] * len(graph.outputs)
    for place in real:
        said[place] = VALUES.name
    for name, role in wanted.items():
        if not name and len(said) > 1:
            raise TinyguardError(
                f"--role {role} names none of the {len(said)} outputs: type --role NAME|N={role}"
            )
        said[output_place(graph, name or 0)] = role
    return tuple(said) if any(said) else None
