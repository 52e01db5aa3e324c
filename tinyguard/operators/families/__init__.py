# SPDX-License-Identifier: Apache-2.0
"""What operators of one kind share: checks, exact NumPy, and how their C is called."""
