# SPDX-License-Identifier: Apache-2.0
"""The version of this package, below everything else so that any module may import it."""

VERSION = "0.1.0"
