"""The simulated arm as calibration moves it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vjepa_gate.robots import Robot
from vjepa_ros.episodes.sensing import state_of
from vjepa_ros.evaluation.trials import carry_out
from vjepa_ros.planning.world_model import Context
from vjepa_sim.scene import Scene


@dataclass(frozen=True, kw_only=True)
class SimMover:
    scene: Scene
    robot: Robot
    see: Callable[[NDArray[np.uint8]], Tensor]  # a picture's latents [L, D]
    period: float  # seconds of a motion

    def look(self) -> Context:
        seen = self.scene.observe()
        return Context(latents=self.see(seen.rgb)[None], states=state_of(seen)[None].float())

    def move(self, action: Tensor) -> None:
        carry_out(self.scene, state_of(self.scene.observe()), action, self.robot)
        self.scene.step(self.period)
