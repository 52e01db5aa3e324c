# SPDX-License-Identifier: Apache-2.0
"""What a layer is printed for: instruction set, goal and kernel provider."""

from dataclasses import dataclass

GOALS = ("speed", "balanced", "size")
PROVIDERS = ("builtin", "cmsis-nn")


@dataclass(frozen=True)
class Target:
    """`isa`: "portable" C, "dsp" (SMLAD family) or "mve" (Helium). `optimize`: one of GOALS.
    `kernels`: one of PROVIDERS."""

    isa: str = "portable"
    optimize: str = "balanced"
    kernels: str = "builtin"

    @property
    def fast(self) -> bool:
        """Whether flash may be spent on speed."""
        return self.optimize != "size"


PORTABLE = Target()
