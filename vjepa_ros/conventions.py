"""What a state and an action mean: units, frames, signs and their algebra.

State, 7 numbers: [x, y, z, roll, pitch, yaw, closedness], the absolute pose of the tool
in the robot's base frame, in metres and radians. The angles are extrinsic "xyz" Euler
angles, so R = Rz(yaw) · Ry(pitch) · Rx(roll). closedness is 0 open, 1 closed.

Action, 7 numbers: [dx, dy, dz, droll, dpitch, dyaw, dclosedness], the difference of two
consecutive states. Its rotation turns about the BASE axes: R_next = dR · R.

Quaternions are (x, y, z, w), as in ROS. Every function takes any number of leading batch
dimensions, keeps the dtype and device, and is differentiable away from the gimbal edge.
"""

import math

import torch
from torch import Tensor

STATE_NAMES = ("x", "y", "z", "roll", "pitch", "yaw", "closedness")
ACTION_NAMES = ("dx", "dy", "dz", "droll", "dpitch", "dyaw", "dclosedness")

POSITION = slice(0, 3)
ROTATION = slice(3, 6)
GRIPPER = 6

FRANKA_HAND_WIDTH = 0.08  # metres between the fingers of an open Franka hand
ARM_REACH = 3.0  # metres; no table-top arm reaches further, but 3 mm written as 3 does not pass

_SLACK = 1e-4  # what float32 arithmetic may add to a bound
# Beyond this |sin(pitch)| roll and yaw turn about one axis and only their sum is known.
_GIMBAL = 1.0 - 1e-7


# --- rotations ---------------------------------------------------------------------------


def euler_to_matrix(euler: Tensor) -> Tensor:
    """Extrinsic xyz angles [..., 3] in radians to rotation matrices [..., 3, 3]."""
    (sr, sp, sy), (cr, cp, cy) = euler.sin().unbind(-1), euler.cos().unbind(-1)
    rows = (
        (cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr),
        (sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr),
        (-sp, cp * sr, cp * cr),
    )
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def matrix_to_euler(matrix: Tensor) -> Tensor:
    """Rotation matrices [..., 3, 3] to extrinsic xyz angles [..., 3] in radians.

    roll and yaw lie in [-pi, pi], pitch in [-pi/2, pi/2]. At the gimbal edge yaw is 0.
    """
    sin_pitch = -matrix[..., 2, 0]
    # atan2 keeps the precision that asin loses near the edge.
    cos_pitch = torch.hypot(matrix[..., 0, 0], matrix[..., 1, 0])
    pitch = torch.atan2(sin_pitch, cos_pitch)
    at_edge = sin_pitch.abs() > _GIMBAL
    roll = torch.where(
        at_edge,
        torch.atan2(-matrix[..., 1, 2], matrix[..., 1, 1]),
        torch.atan2(matrix[..., 2, 1], matrix[..., 2, 2]),
    )
    yaw = torch.where(
        at_edge,
        torch.zeros_like(pitch),
        torch.atan2(matrix[..., 1, 0], matrix[..., 0, 0]),
    )
    return torch.stack((roll, pitch, yaw), -1)


def quaternion_to_matrix(xyzw: Tensor) -> Tensor:
    """Unit quaternions (x, y, z, w) [..., 4] to rotation matrices [..., 3, 3]."""
    check_quaternion(xyzw)
    x, y, z, w = (xyzw / xyzw.norm(dim=-1, keepdim=True)).unbind(-1)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    )
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def matrix_to_quaternion(matrix: Tensor) -> Tensor:
    """Rotation matrices [..., 3, 3] to unit quaternions (x, y, z, w) with w >= 0."""
    xx, yy, zz = matrix.diagonal(dim1=-2, dim2=-1).unbind(-1)
    xy, yx = matrix[..., 0, 1], matrix[..., 1, 0]
    xz, zx = matrix[..., 0, 2], matrix[..., 2, 0]
    yz, zy = matrix[..., 1, 2], matrix[..., 2, 1]
    # Row i is 4 q_i · q: any row is the answer, the one of the largest |q_i| is exact.
    rows = (
        (1 + xx - yy - zz, xy + yx, xz + zx, zy - yz),
        (xy + yx, 1 - xx + yy - zz, yz + zy, xz - zx),
        (xz + zx, yz + zy, 1 - xx - yy + zz, yx - xy),
        (zy - yz, xz - zx, yx - xy, 1 + xx + yy + zz),
    )
    table = torch.stack([torch.stack(row, -1) for row in rows], -2)  # [..., 4, 4]
    largest = table.diagonal(dim1=-2, dim2=-1).argmax(-1)
    xyzw = torch.take_along_dim(table, largest[..., None, None], -2).squeeze(-2)
    xyzw = xyzw / xyzw.norm(dim=-1, keepdim=True)
    return torch.where(xyzw[..., 3:] < 0, -xyzw, xyzw)


def unwrap_euler(euler: Tensor) -> Tensor:
    """A sequence of angles [..., T, 3] without the jumps of 2 pi between its steps.

    A gripper that points down has a roll near ±pi, whose sign flips from frame to frame.
    """
    step = euler.diff(dim=-2)
    jumps = torch.round(step / (2 * math.pi)) * (2 * math.pi)
    return torch.cat((euler[..., :1, :], euler[..., 1:, :] - jumps.cumsum(-2)), -2)


# --- states and actions ------------------------------------------------------------------


def action_between(state: Tensor, next_state: Tensor) -> Tensor:
    """The action [..., 7] that leads from one state [..., 7] to the next."""
    turn = euler_to_matrix(next_state[..., ROTATION]) @ euler_to_matrix(state[..., ROTATION]).mT
    return torch.cat(
        (
            next_state[..., POSITION] - state[..., POSITION],
            matrix_to_euler(turn),
            next_state[..., GRIPPER:] - state[..., GRIPPER:],
        ),
        -1,
    )


def apply_action(state: Tensor, action: Tensor) -> Tensor:
    """The state [..., 7] that an action [..., 7] leads to; closedness is kept in [0, 1]."""
    rotation = euler_to_matrix(action[..., ROTATION]) @ euler_to_matrix(state[..., ROTATION])
    return torch.cat(
        (
            state[..., POSITION] + action[..., POSITION],
            matrix_to_euler(rotation),
            (state[..., GRIPPER:] + action[..., GRIPPER:]).clamp(0, 1),
        ),
        -1,
    )


def actions_of(states: Tensor) -> Tensor:
    """The T - 1 actions [..., T - 1, 7] between the T states [..., T, 7] of a trajectory."""
    return action_between(states[..., :-1, :], states[..., 1:, :])


def state_from_pose(position: Tensor, quaternion_xyzw: Tensor, closedness: Tensor) -> Tensor:
    """A state [..., 7] from a tool position [..., 3], orientation [..., 4], closedness [...]."""
    euler = matrix_to_euler(quaternion_to_matrix(quaternion_xyzw))
    state = torch.cat((position, euler, closedness.unsqueeze(-1)), -1)
    check_state(state)
    return state


def pose_from_state(state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Position [..., 3], quaternion (x, y, z, w) [..., 4] and closedness [...] of a state."""
    check_state(state)
    quaternion = matrix_to_quaternion(euler_to_matrix(state[..., ROTATION]))
    return state[..., POSITION], quaternion, state[..., GRIPPER]


def closedness_from_width(width: Tensor, max_width: float = FRANKA_HAND_WIDTH) -> Tensor:
    """Distance between the fingers in metres to closedness: 0 open, 1 closed.

    ROS joint states give each finger's own travel, which is half the width.
    """
    _check_max_width(max_width)
    slack = 0.02 * max_width  # a real hand reads a little past its stops
    if _outside(width, -slack, max_width + slack):
        raise ValueError(
            f"gripper width {_worst(width, max_width / 2):.4g} m is outside [0, {max_width:g}] m: "
            "expected the distance between the fingers in metres, not a closedness, "
            "a percentage or millimetres"
        )
    return (1 - width / max_width).clamp(0, 1)


def width_from_closedness(closedness: Tensor, max_width: float = FRANKA_HAND_WIDTH) -> Tensor:
    """Closedness (0 open, 1 closed) to the distance between the fingers in metres."""
    _check_max_width(max_width)
    _check_closedness(closedness)
    return (1 - closedness) * max_width


# --- checks at the boundary --------------------------------------------------------------


def check_quaternion(xyzw: Tensor) -> None:
    """Raise ValueError unless the last dimension holds unit quaternions.

    The order of its components cannot be told from the numbers: w comes last.
    """
    _check_numbers("quaternion", xyzw, 4)
    norm = xyzw.norm(dim=-1)
    if _outside(norm, 0.99, 1.01):
        raise ValueError(
            f"quaternion of norm {_worst(norm, 1.0):.4g}, expected a unit quaternion (x, y, z, w): "
            "an all-zero one usually means that no pose was filled in"
        )


def check_state(state: Tensor) -> None:
    """Raise ValueError for numbers that cannot be a state in metres, radians, closedness."""
    _check_numbers("state", state, 7)
    position, angles = state[..., POSITION], state[..., ROTATION]
    if _outside(position, -ARM_REACH, ARM_REACH):
        raise ValueError(
            f"state position {_worst(position, 0.0):.4g} m is outside ±{ARM_REACH:g} m: "
            "expected metres in the robot's base frame, not millimetres"
        )
    if _outside(angles, -2 * math.pi - _SLACK, 2 * math.pi + _SLACK):
        raise ValueError(
            f"state angle {_worst(angles, 0.0):.4g} is outside ±2 pi: expected radians, not degrees"
        )
    _check_closedness(state[..., GRIPPER])


def check_action(action: Tensor) -> None:
    """Raise ValueError for numbers that cannot be the difference of two states."""
    _check_numbers("action", action, 7)
    if _outside(action[..., POSITION], -ARM_REACH, ARM_REACH):
        raise ValueError(
            f"action moves {_worst(action[..., POSITION], 0.0):.4g} m in one step, more than "
            f"{ARM_REACH:g} m: expected metres, not millimetres"
        )
    if _outside(action[..., ROTATION], -math.pi - _SLACK, math.pi + _SLACK):
        raise ValueError(
            f"action turns {_worst(action[..., ROTATION], 0.0):.4g} in one step, more than pi: "
            "expected radians, not degrees"
        )
    if _outside(action[..., GRIPPER], -1 - _SLACK, 1 + _SLACK):
        raise ValueError(
            f"action changes closedness by {_worst(action[..., GRIPPER], 0.0):.4g}: expected a "
            "value in [-1, 1], positive to close"
        )


def _check_numbers(name: str, values: Tensor, size: int) -> None:
    if values.shape[-1:] != (size,):
        raise ValueError(f"{name} has shape {list(values.shape)}, expected [..., {size}]")
    if not values.isfinite().all():
        raise ValueError(f"{name} holds NaN or infinite numbers: {values.tolist()}")


def _check_closedness(closedness: Tensor) -> None:
    if _outside(closedness, -_SLACK, 1 + _SLACK):
        raise ValueError(
            f"closedness {_worst(closedness, 0.5):.4g} is outside [0, 1]: expected "
            "1 - width / max_width (0 open, 1 closed), not a width or a percentage"
        )


def _check_max_width(max_width: float) -> None:
    if not 0 < max_width < 1:
        raise ValueError(f"max_width is {max_width:g} m, expected between 0 and 1 m (Franka: 0.08)")


def _outside(values: Tensor, low: float, high: float) -> bool:
    """Whether any value is not in [low, high]; NaN is in no range."""
    return not bool(((values >= low) & (values <= high)).all())


def _worst(values: Tensor, centre: float) -> float:
    """The value furthest from the middle of its range, to name in an error."""
    flat = values.flatten()
    return float(flat[(flat - centre).abs().nan_to_num(torch.inf).argmax()])
