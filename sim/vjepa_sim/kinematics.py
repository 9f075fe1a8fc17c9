"""Where the Panda's tool is for given joint angles, and how to move it there.

The tool frame (TCP) lies between the finger tips, 0.1034 m beyond the flange, as Franka
reports it: z out of the hand, y along the fingers' travel. The base frame is the world.
"""

import math

import numpy as np

from vjepa_sim.geometry import rotation_about, rotation_vector

JOINTS = 7
LOWER = np.array((-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973))
UPPER = np.array((2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973))
MAX_SPEED = np.array((2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61))  # rad/s
HOME = np.array((0.0, -math.pi / 4, 0.0, -3 * math.pi / 4, 0.0, math.pi / 2, math.pi / 4))

TCP_OFFSET = 0.1034  # metres from the hand frame to the TCP
_DAMPING = 0.02
_SOLVE_STEPS = 60


def _translated_then_rolled(xyz: tuple[float, float, float], roll: float) -> np.ndarray:
    cosine, sine = round(math.cos(roll), 12), round(math.sin(roll), 12)
    pose = np.eye(4)
    pose[:3, 3] = xyz
    pose[1:3, 1:3] = (cosine, -sine), (sine, cosine)
    return pose


# Each joint's frame in the one before it; the joint turns about its own z.
_RIGHT = math.pi / 2
_ORIGINS = (
    _translated_then_rolled((0, 0, 0.333), 0),
    _translated_then_rolled((0, 0, 0), -_RIGHT),
    _translated_then_rolled((0, -0.316, 0), _RIGHT),
    _translated_then_rolled((0.0825, 0, 0), _RIGHT),
    _translated_then_rolled((-0.0825, 0.384, 0), -_RIGHT),
    _translated_then_rolled((0, 0, 0), _RIGHT),
    _translated_then_rolled((0.088, 0, 0), _RIGHT),
)
_FLANGE_TO_TCP = np.eye(4)
_FLANGE_TO_TCP[:3, :3] = rotation_about(np.array((0, 0, -math.pi / 4)))
_FLANGE_TO_TCP[2, 3] = 0.107 + TCP_OFFSET


def forward(joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The tool's pose (4, 4) in the base and the Jacobian (6, 7): linear rows, then angular."""
    pose = np.eye(4)
    axes, origins = np.empty((JOINTS, 3)), np.empty((JOINTS, 3))
    turn = np.eye(4)
    for index, (origin, angle) in enumerate(zip(_ORIGINS, joints.tolist(), strict=True)):
        cosine, sine = math.cos(angle), math.sin(angle)
        turn[0, 0] = turn[1, 1] = cosine
        turn[1, 0], turn[0, 1] = sine, -sine
        pose = pose @ origin @ turn
        axes[index], origins[index] = pose[:3, 2], pose[:3, 3]
    pose = pose @ _FLANGE_TO_TCP
    jacobian = np.empty((6, JOINTS))
    lever = pose[:3, 3] - origins
    jacobian[0] = axes[:, 1] * lever[:, 2] - axes[:, 2] * lever[:, 1]
    jacobian[1] = axes[:, 2] * lever[:, 0] - axes[:, 0] * lever[:, 2]
    jacobian[2] = axes[:, 0] * lever[:, 1] - axes[:, 1] * lever[:, 0]
    jacobian[3:] = axes.T
    return pose, jacobian


def step_towards(
    joints: np.ndarray,
    reached: tuple[np.ndarray, np.ndarray],
    position: np.ndarray,
    rotation: np.ndarray,
) -> np.ndarray:
    """One damped least-squares step of the joints towards a tool pose (rotation is 3×3).

    reached is forward(joints). The arm's seventh degree of freedom is used to stay near the
    home posture.
    """
    pose, jacobian = reached
    error = np.concatenate((position - pose[:3, 3], rotation_vector(rotation @ pose[:3, :3].T)))
    gram = jacobian @ jacobian.T
    gram[range(6), range(6)] += _DAMPING**2
    posture = 0.05 * (HOME - joints)
    solved = np.linalg.solve(gram, np.stack((error, jacobian @ posture), 1))
    step = jacobian.T @ (solved[:, 0] - solved[:, 1]) + posture
    return np.clip(joints + step, LOWER, UPPER)


def solve(
    position: np.ndarray, rotation: np.ndarray, start: np.ndarray = HOME, steps: int = _SOLVE_STEPS
) -> np.ndarray:
    """Joint angles for a tool pose; ValueError where the arm does not reach it."""
    joints = start
    for _ in range(steps):
        joints = step_towards(joints, forward(joints), position, rotation)
    pose, _ = forward(joints)
    miss = float(np.linalg.norm(pose[:3, 3] - position))
    if miss > 2e-3:
        raise ValueError(
            f"the arm cannot reach {np.round(position, 3).tolist()} m: it comes within {miss:.3f} m"
        )
    return joints
