"""Rotations as numpy arrays. Quaternions are (x, y, z, w), as in ROS."""

import math

import numpy as np

X = np.array((1.0, 0.0, 0.0))


def quaternion_to_matrix(xyzw: np.ndarray) -> np.ndarray:
    x, y, z, w = xyzw / np.linalg.norm(xyzw)
    return np.array(
        (
            (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
            (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
            (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
        )
    )


def matrix_to_quaternion(matrix: np.ndarray) -> np.ndarray:
    """The unit quaternion with w >= 0."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = matrix.tolist()
    # Row i is 4 q_i · q: any row is the answer, the one of the largest |q_i| is exact.
    rows = (
        (1 + xx - yy - zz, xy + yx, xz + zx, zy - yz),
        (xy + yx, 1 - xx + yy - zz, yz + zy, xz - zx),
        (xz + zx, yz + zy, 1 - xx - yy + zz, yx - xy),
        (zy - yz, xz - zx, yx - xy, 1 + xx + yy + zz),
    )
    xyzw = np.array(max(enumerate(rows), key=lambda row: row[1][row[0]])[1])
    return xyzw * math.copysign(1 / math.sqrt(xyzw @ xyzw), xyzw[3])


def rotation_vector(matrix: np.ndarray) -> np.ndarray:
    """Axis times angle in radians."""
    xyzw = matrix_to_quaternion(matrix)
    sine = math.sqrt(xyzw[:3] @ xyzw[:3])
    if sine < 1e-9:
        return 2 * xyzw[:3]
    return xyzw[:3] * (2 * math.atan2(sine, xyzw[3]) / sine)


def rotation_about(vector: np.ndarray) -> np.ndarray:
    """The rotation matrix of axis times angle: the inverse of rotation_vector."""
    angle = math.sqrt(vector @ vector)
    half = 0.5 * angle
    scale = math.sin(half) / angle if angle > 1e-9 else 0.5
    return quaternion_to_matrix(np.array((*(scale * vector), math.cos(half))))


def pointing_down(yaw: float = 0.0) -> np.ndarray:
    """The tool's quaternion with the gripper downwards; at yaw 0 the fingers part along y."""
    return np.array((math.cos(yaw / 2), math.sin(yaw / 2), 0.0, 0.0))


def yaw_quaternion(yaw: float) -> np.ndarray:
    return np.array((0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2)))
