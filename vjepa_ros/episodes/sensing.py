"""What the simulated robot reports, as the world model takes it."""

import torch
from torch import Tensor

from vjepa_ros import conventions
from vjepa_sim.robot import RobotState
from vjepa_sim.scene import Observation


def state_of(observation: Observation | RobotState) -> Tensor:
    """The state [7], float64."""
    return conventions.state_from_pose(
        torch.from_numpy(observation.position),
        torch.from_numpy(observation.quaternion_xyzw),
        conventions.closedness_from_width(torch.tensor(observation.width, dtype=torch.float64)),
    )
