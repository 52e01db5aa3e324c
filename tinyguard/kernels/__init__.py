# SPDX-License-Identifier: Apache-2.0
"""Fast kernels: ways to print an operator for one instruction set or provider, and the choice among them.

Every operator prints portable C by itself (`Operator.emit`). A `Kernel` prints the same layer another
way; `options` lists those that can, `choose` picks one per layer for a target and a flash budget.
"""

from tinyguard.kernels.kernel import Cost, Kernel
from tinyguard.kernels.portable import PORTABLE_KERNEL
from tinyguard.kernels.select import choose, options

__all__ = ["PORTABLE_KERNEL", "Cost", "Kernel", "choose", "options"]
