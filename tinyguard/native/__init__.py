"""Loops of the simulator in C, built on this machine when first needed; torch does the same without them."""

from tinyguard.native.loops import Rule, codes, halves, keep_inside, serves, staged_pair, weighted_pair

__all__ = ["Rule", "codes", "halves", "keep_inside", "serves", "staged_pair", "weighted_pair"]
