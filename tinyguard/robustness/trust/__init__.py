# SPDX-License-Identifier: Apache-2.0
"""Whether a figure deserves trust: masked gradients, attenuation, loss surfaces."""
