"""What a state and an action mean: units, frames, signs and their algebra.

State, 7 numbers: [x, y, z, roll, pitch, yaw, closedness], the absolute pose of the tool
in the robot's base frame, in metres and radians. The angles are extrinsic "xyz" Euler
angles, so R = Rz(yaw) · Ry(pitch) · Rx(roll). closedness is 0 open, 1 closed.

Action, 7 numbers: [dx, dy, dz, droll, dpitch, dyaw, dclosedness], the difference of two
consecutive states. Its rotation turns about the BASE axes: R_next = dR · R.

Quaternions are (x, y, z, w), as in ROS. Checks take any number of leading batch dimensions.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from vjepa_gate.rotations import from_euler, multiply, to_euler
from vjepa_gate.units import ARM_REACH, FRANKA_HAND_WIDTH

STATE_NAMES = ("x", "y", "z", "roll", "pitch", "yaw", "closedness")
ACTION_NAMES = ("dx", "dy", "dz", "droll", "dpitch", "dyaw", "dclosedness")

POSITION = slice(0, 3)
ROTATION = slice(3, 6)
GRIPPER = 6

NEAR_UNIT = (0.99, 1.01)  # the norms of what passes for a unit quaternion
_SLACK = 1e-4  # what float32 arithmetic may add to a bound


# --- algebra -----------------------------------------------------------------------------


def apply_action(state: np.ndarray, action: np.ndarray) -> np.ndarray:
    """The state (7,) that an action (7,) leads to; closedness is kept in [0, 1]."""
    position = state[POSITION] + action[POSITION]
    rotation = multiply(from_euler(action[ROTATION]), from_euler(state[ROTATION]))
    closedness = min(max(state[GRIPPER] + action[GRIPPER], 0.0), 1.0)
    return np.array((*position, *to_euler(rotation), closedness))


def closedness_from_width(width: float, max_width: float = FRANKA_HAND_WIDTH) -> float:
    """Distance between the fingers in metres to closedness: 0 open, 1 closed.

    ROS joint states give each finger's own travel, which is half the width.
    """
    check_width(width, max_width)
    return min(max(1 - width / max_width, 0.0), 1.0)


def width_from_closedness(closedness: float, max_width: float = FRANKA_HAND_WIDTH) -> float:
    """Closedness (0 open, 1 closed) to the distance between the fingers in metres."""
    check_max_width(max_width)
    check_closedness(closedness)
    return (1 - closedness) * max_width


# --- checks at the boundary --------------------------------------------------------------


def check_quaternion(xyzw: ArrayLike) -> None:
    """Raise ValueError unless the last dimension holds unit quaternions.

    The order of its components cannot be told from the numbers: w comes last.
    """
    norm = np.linalg.norm(_numbers("quaternion", xyzw, 4), axis=-1)
    if _outside(norm, *NEAR_UNIT):
        raise ValueError(
            f"quaternion of norm {_worst(norm, 1.0):.4g}, expected a unit quaternion (x, y, z, w): "
            "an all-zero one usually means that no pose was filled in"
        )


def check_state(state: ArrayLike) -> None:
    """Raise ValueError for numbers that cannot be a state in metres, radians, closedness."""
    numbers = _numbers("state", state, 7)
    position, angles = numbers[..., POSITION], numbers[..., ROTATION]
    if _outside(position, -ARM_REACH, ARM_REACH):
        raise ValueError(
            f"state position {_worst(position, 0.0):.4g} m is outside ±{ARM_REACH:g} m: "
            "expected metres in the robot's base frame, not millimetres"
        )
    if _outside(angles, -2 * math.pi - _SLACK, 2 * math.pi + _SLACK):
        raise ValueError(
            f"state angle {_worst(angles, 0.0):.4g} is outside ±2 pi: expected radians, not degrees"
        )
    check_closedness(numbers[..., GRIPPER])


def check_action(action: ArrayLike) -> None:
    """Raise ValueError for numbers that cannot be the difference of two states."""
    numbers = _numbers("action", action, 7)
    way, turn, change = numbers[..., POSITION], numbers[..., ROTATION], numbers[..., GRIPPER]
    if _outside(way, -ARM_REACH, ARM_REACH):
        raise ValueError(
            f"action moves {_worst(way, 0.0):.4g} m in one step, more than "
            f"{ARM_REACH:g} m: expected metres, not millimetres"
        )
    if _outside(turn, -math.pi - _SLACK, math.pi + _SLACK):
        raise ValueError(
            f"action turns {_worst(turn, 0.0):.4g} in one step, more than pi: "
            "expected radians, not degrees"
        )
    if _outside(change, -1 - _SLACK, 1 + _SLACK):
        raise ValueError(
            f"action changes closedness by {_worst(change, 0.0):.4g}: expected a "
            "value in [-1, 1], positive to close"
        )


def check_width(width: ArrayLike, max_width: float) -> None:
    """Raise ValueError for what cannot be the distance between the fingers of a gripper."""
    check_max_width(max_width)
    slack = 0.02 * max_width  # a real hand reads a little past its stops
    if _outside(width, -slack, max_width + slack):
        raise ValueError(
            f"gripper width {_worst(width, max_width / 2):.4g} m is outside [0, {max_width:g}] m: "
            "expected the distance between the fingers in metres, not a closedness, "
            "a percentage or millimetres"
        )


def check_closedness(closedness: ArrayLike) -> None:
    """Raise ValueError for what is not in [0, 1]."""
    if _outside(closedness, -_SLACK, 1 + _SLACK):
        raise ValueError(
            f"closedness {_worst(closedness, 0.5):.4g} is outside [0, 1]: expected "
            "1 - width / max_width (0 open, 1 closed), not a width or a percentage"
        )


def check_max_width(max_width: float) -> None:
    """Raise ValueError for what cannot be the opening of a gripper in metres."""
    if not 0 < max_width < 1:
        raise ValueError(f"max_width is {max_width:g} m, expected between 0 and 1 m (Franka: 0.08)")


def _numbers(name: str, values: ArrayLike, size: int) -> np.ndarray:
    numbers = np.asarray(values, float)
    if numbers.shape[-1:] != (size,):
        raise ValueError(f"{name} has shape {list(numbers.shape)}, expected [..., {size}]")
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name} holds NaN or infinite numbers: {numbers.tolist()}")
    return numbers


def _outside(values: ArrayLike, low: float, high: float) -> bool:
    """Whether any value is not in [low, high]; NaN is in no range."""
    numbers = np.asarray(values)
    return not ((numbers >= low) & (numbers <= high)).all()


def _worst(values: ArrayLike, centre: float) -> float:
    """The value furthest from the middle of its range, to name in an error."""
    flat = np.ravel(values)
    return float(flat[np.nan_to_num(np.abs(flat - centre), nan=np.inf).argmax()])
