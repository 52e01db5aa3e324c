# SPDX-License-Identifier: Apache-2.0
"""How torch runs the integer network fast, bit for bit, with gradients: the twin of `kernels`."""
