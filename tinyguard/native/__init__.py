"""Loops of the simulator in C, built on this machine when first needed; torch does the same without them."""

from tinyguard.native.loops import (
    Rule,
    byte_halves,
    codes,
    halves,
    in_bytes,
    keep_inside,
    serves,
    staged_pair,
    weighted_pair,
)

__all__ = [
    "Rule",
    "byte_halves",
    "codes",
    "halves",
    "in_bytes",
    "keep_inside",
    "serves",
    "staged_pair",
    "weighted_pair",
]
