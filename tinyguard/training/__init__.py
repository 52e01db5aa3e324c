# SPDX-License-Identifier: Apache-2.0
"""Training that makes networks robust: adversarial recipes for float networks and for the integer network
itself."""
