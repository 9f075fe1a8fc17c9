"""What an action may ask for: how far, how far round, where to, how tilted."""

import math

import numpy as np

from vjepa_gate.conventions import GRIPPER, POSITION, ROTATION
from vjepa_gate.pose import Pose
from vjepa_gate.robots import Limits
from vjepa_gate.rotations import (
    from_euler,
    from_vector,
    multiply,
    to_euler,
    to_vector,
    z_axis,
)

_START_SLACK = 0.01  # metres and radians that noise and sag may take it outside


def limit_action(action: np.ndarray, limits: Limits) -> np.ndarray:
    """The action (7,) with translation and rotation shortened to their longest."""
    way = shortened(action[POSITION], limits.max_step)
    turn = shortened(to_vector(from_euler(action[ROTATION])), limits.max_turn)
    change = min(max(action[GRIPPER], -1.0), 1.0)
    return np.array((*way, *to_euler(from_vector(turn)), change))


def confine(pose: Pose, limits: Limits) -> Pose:
    """The nearest pose in the workspace whose tilt is allowed; the same object if it is one."""
    position = np.clip(pose.position, limits.workspace_low, limits.workspace_high)
    x, y, _ = axis = z_axis(pose.rotation)
    excess = tilt(axis) - limits.max_tilt
    if excess <= 0:
        return pose if np.array_equal(position, pose.position) else Pose(position, pose.rotation)
    # Downwards about the horizontal axis that is square to the tool's; straight up, any will do.
    length = math.hypot(x, y)
    about = np.array((-y, x, 0.0)) / length if length > 1e-9 else np.array((1.0, 0.0, 0.0))
    return Pose(position, multiply(from_vector(excess * about), pose.rotation))


def outside(pose: Pose, limits: Limits) -> str:
    """Why an arm that stands there is not taken up; empty where it is near enough its limits."""
    away = np.linalg.norm(confine(pose, limits).position - pose.position)
    lean = tilt(z_axis(pose.rotation))
    if away <= _START_SLACK and lean <= limits.max_tilt + _START_SLACK:
        return ""
    x, y, z = pose.position
    return (
        f"the tool at ({x:.3f}, {y:.3f}, {z:.3f}) m, tilted by {lean:.2f} rad, is outside "
        f"its limits, {limits.workspace_low} to {limits.workspace_high} m and "
        f"{limits.max_tilt:g} rad: move it inside by hand"
    )


def tilt(axis: tuple[float, float, float]) -> float:
    """Radians between the tool's z axis and straight down."""
    x, y, z = axis
    return math.atan2(math.hypot(x, y), -z)


def shortened(vector: np.ndarray, longest: float) -> np.ndarray:
    """Shorten a vector to the longest that is allowed; its direction stays."""
    length = math.sqrt(vector @ vector)
    return vector if length <= longest else vector * (longest / length)
