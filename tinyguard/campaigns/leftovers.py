# SPDX-License-Identifier: Apache-2.0
"""What a folder of results holds that this code does not take up, told in a line each."""

from __future__ import annotations

from collections.abc import Sequence

from tinyguard.campaigns.cell import Piece
from tinyguard.campaigns.keys import what_of
from tinyguard.campaigns.store import Store


def leftovers(store: Store, pieces: Sequence[Piece]) -> list[str]:
    """Lines about kept pieces that are not used: those whose names do not say by which code they were made,
    and those of this very work by other code."""
    kept = store.keys()
    nameless = sum("-" not in key for key in kept)
    missing = {what_of(piece.key) for piece in pieces if piece.key not in kept}
    other = len(missing & {what_of(key) for key in kept if "-" in key})
    lines = []
    if nameless:
        lines.append(
            f"{store.folder}: {_count(nameless)} of an earlier tinyguard {_are(nameless)} not used: nothing "
            "says by which code"
        )
    if other:
        lines.append(
            f"{store.folder}: {_count(other)} {_are(other)} not used and run again: the attack's code has "
            "changed since"
        )
    return lines


def _count(pieces: int) -> str:
    return f"{pieces:,} piece{'' if pieces == 1 else 's'}"


def _are(pieces: int) -> str:
    return "is" if pieces == 1 else "are"
