"""How well a planned action agrees with the one that was recorded."""

import math

import torch
from torch import Tensor

from vjepa_ros.conventions import (
    GRIPPER,
    POSITION,
    ROTATION,
    euler_to_matrix,
    matrix_to_quaternion,
)
from vjepa_ros.episodes.episode import Trajectory
from vjepa_ros.replay.results import Tracking

SHORTEST = 0.005  # metres; a translation below it has no direction worth comparing
FINGERS_MOVE = 0.1  # of closedness; less is noise of the measurement

# jepa-wms' score of DROID, see docs/REPLAY.md: 80 is perfect, 0 an error of 10 cm or more.
_SCORE_SCALE, _SCORE_ZERO = 800.0, 0.1


def translation_error(planned: Tensor, recorded: Tensor) -> float:
    """Metres between where two actions [7] lead."""
    return float((planned[POSITION] - recorded[POSITION]).norm())


def translation_angle(planned: Tensor, recorded: Tensor) -> float | None:
    """Degrees between two actions' [7] translations; None where one is hardly any."""
    one, other = planned[POSITION].double(), recorded[POSITION].double()
    if min(one.norm(), other.norm()) < SHORTEST:
        return None
    return math.degrees(math.atan2(torch.linalg.cross(one, other).norm(), one @ other))


def gripper_motion(action: Tensor) -> int:
    """1 closes, -1 opens, 0 rests."""
    change = float(action[GRIPPER])
    return 0 if abs(change) < FINGERS_MOVE else int(math.copysign(1, change))


def action_error(planned: Tensor, recorded: Tensor) -> float:
    """Metres, summed over the axes, between where plans [H, 7] lead."""
    return float((planned[:, POSITION].sum(0) - recorded[:, POSITION].sum(0)).abs().sum())


def action_score(error: float) -> float:
    """jepa-wms' Action Score of plans whose mean `action_error` this is, before its floor of 0."""
    return _SCORE_SCALE * (_SCORE_ZERO - error)


def tracking_of(trajectory: Trajectory) -> Tracking | None:
    """Compare what was done with what was commanded; None where no command was recorded."""
    if trajectory.commanded is None:
        return None
    done, told = torch.from_numpy(trajectory.actions), torch.from_numpy(trajectory.commanded)
    away = (done[:, POSITION] - told[:, POSITION]).norm(dim=-1)
    turn = euler_to_matrix(done[:, ROTATION]) @ euler_to_matrix(told[:, ROTATION]).mT
    quaternion = matrix_to_quaternion(turn)  # w >= 0
    angle = 2 * torch.atan2(quaternion[:, :3].norm(dim=-1), quaternion[:, 3])
    return Tracking(error_cm=(100 * away).tolist(), turn_deg=angle.rad2deg().tolist())
