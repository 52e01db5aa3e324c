# SPDX-License-Identifier: Apache-2.0
"""Loops of the simulator in C, built on this machine when first needed; torch does the same without them."""
