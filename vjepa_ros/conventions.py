"""The algebra of states and actions for batches of tensors.

vjepa_gate.conventions says what the numbers mean, and checks them. Every function takes any
number of leading batch dimensions, keeps the dtype and device, and is differentiable away
from the gimbal edge.
"""

import math

import numpy as np
import torch
from torch import Tensor

from vjepa_gate import conventions
from vjepa_gate.conventions import FRANKA_HAND_WIDTH, GRIPPER, POSITION, ROTATION
from vjepa_gate.rotations import GIMBAL_EDGE

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
    at_edge = sin_pitch.abs() > GIMBAL_EDGE
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
    """Distance between the fingers in metres to closedness: 0 open, 1 closed."""
    conventions.check_width(_array(width), max_width)
    return (1 - width / max_width).clamp(0, 1)


def width_from_closedness(closedness: Tensor, max_width: float = FRANKA_HAND_WIDTH) -> Tensor:
    """Closedness (0 open, 1 closed) to the distance between the fingers in metres."""
    conventions.check_max_width(max_width)
    conventions.check_closedness(_array(closedness))
    return (1 - closedness) * max_width


# --- checks at the boundary, of tensors on any device --------------------------------------


def check_quaternion(xyzw: Tensor) -> None:
    """Raise ValueError unless the last dimension holds unit quaternions."""
    conventions.check_quaternion(_array(xyzw))


def check_state(state: Tensor) -> None:
    """Raise ValueError for numbers that cannot be a state in metres, radians, closedness."""
    conventions.check_state(_array(state))


def check_action(action: Tensor) -> None:
    """Raise ValueError for numbers that cannot be the difference of two states."""
    conventions.check_action(_array(action))


def _array(values: Tensor) -> np.ndarray:
    return values.detach().to("cpu", torch.float64).numpy()
