# SPDX-License-Identifier: Apache-2.0
"""Running attacks on one network, and the figures that come of them."""
