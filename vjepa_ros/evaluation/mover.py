"""The simulated arm as calibration moves it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vjepa_ros.evaluation.arm import GatedArm
from vjepa_ros.planning.world_model import Context


@dataclass(frozen=True, kw_only=True)
class SimMover:
    """Looks at a scene and moves its arm, as the nodes do with a robot."""

    arm: GatedArm
    see: Callable[[NDArray[np.uint8]], Tensor]  # a picture's latents [L, D]
    period: float  # seconds of a motion

    def look(self) -> Context:
        """See the scene as it is now."""
        seen = self.arm.look()
        return Context(
            latents=self.see(seen.rgb)[None], states=self.arm.state_of(seen)[None].float()
        )

    def move(self, action: Tensor) -> None:
        """Carry out an action [7]."""
        self.arm.carry_out(action, self.period)
