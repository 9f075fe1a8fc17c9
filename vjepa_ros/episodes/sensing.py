"""What the simulated robot reports, as the world model takes it."""

import torch
from torch import Tensor

from vjepa_ros import conventions
from vjepa_ros.conventions import FRANKA_HAND_WIDTH
from vjepa_sim.robot import RobotState
from vjepa_sim.scene import Observation


def state_of(observation: Observation | RobotState, max_width: float = FRANKA_HAND_WIDTH) -> Tensor:
    """The state [7], float64; `max_width` is of the open hand."""
    width = torch.tensor(observation.width, dtype=torch.float64)
    return conventions.state_from_pose(
        torch.from_numpy(observation.position),
        torch.from_numpy(observation.quaternion_xyzw),
        conventions.closedness_from_width(width, max_width),
    )
