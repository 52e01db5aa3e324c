# SPDX-License-Identifier: Apache-2.0
"""Options that name an exit policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tinyguard.graph import Graph
    from tinyguard.graph.exit_policy import Policy

policy_option = click.option(
    "--policy",
    "kind",
    metavar="confidence|margin|entropy|patience|never",
    help="By what an exit of a network with several answers.",
)
thresholds_option = click.option(
    "--thresholds",
    metavar="N,N",
    help="Whole numbers for --policy, one for each exit but the last; for patience one in all.",
)


def policy_in(
    graph: Graph, kind: str | None, thresholds: str | None, only: int | None = None
) -> Policy | None:
    """The policy that was typed, `only` the number of an exit; None where none was.

    Raises TinyguardError for one that the network cannot have, UsageError for what contradicts itself.
    """
    from tinyguard.exits.typed_policy import typed_exit, typed_policy

    if only is not None:
        if kind is not None or thresholds is not None:
            raise click.UsageError("--exit N is a policy of its own: leave --policy and --thresholds out")
        return typed_exit(graph, only)
    if kind is not None:
        return typed_policy(graph, kind, thresholds)
    if thresholds is not None:
        raise click.UsageError("--thresholds goes with --policy: say what they are thresholds of")
    return None
