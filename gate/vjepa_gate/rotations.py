"""Unit quaternions (x, y, z, w) as plain floats, for what runs at every tick.

Rotation vectors are axis times angle, about the base axes. Euler angles are extrinsic
"xyz", so R = Rz(yaw) · Ry(pitch) · Rx(roll).
"""

import math

import numpy as np

Quaternion = tuple[float, float, float, float]
Vector = tuple[float, float, float]

# Beyond this |sin(pitch)| roll and yaw turn about one axis and only their sum is known.
GIMBAL_EDGE = 1.0 - 1e-7


def multiply(second: Quaternion, first: Quaternion) -> Quaternion:
    """The first rotation and then the second, kept at norm 1."""
    ax, ay, az, aw = second
    bx, by, bz, bw = first
    x = aw * bx + ax * bw + ay * bz - az * by
    y = aw * by - ax * bz + ay * bw + az * bx
    z = aw * bz + ax * by - ay * bx + az * bw
    w = aw * bw - ax * bx - ay * by - az * bz
    norm = math.sqrt(x * x + y * y + z * z + w * w)
    return x / norm, y / norm, z / norm, w / norm


def inverse(rotation: Quaternion) -> Quaternion:
    """Turn back."""
    x, y, z, w = rotation
    return -x, -y, -z, w


def from_vector(vector: np.ndarray) -> Quaternion:
    """Give the rotation about a vector, by its length in radians."""
    x, y, z = vector.tolist()
    angle = math.sqrt(x * x + y * y + z * z)
    scale = math.sin(angle / 2) / angle if angle > 1e-12 else 0.5
    return x * scale, y * scale, z * scale, math.cos(angle / 2)


def to_vector(rotation: Quaternion) -> np.ndarray:
    """The shorter of the two ways round, (3,) in radians."""
    x, y, z, w = rotation
    sine = math.sqrt(x * x + y * y + z * z)
    if sine < 1e-12:
        return np.zeros(3)
    angle = 2 * math.atan2(math.copysign(sine, w), abs(w))
    return np.array((x, y, z)) * (angle / sine)


def from_euler(angles: np.ndarray) -> Quaternion:
    """From roll, pitch and yaw in radians."""
    roll, pitch, yaw = (angles / 2).tolist()
    sr, sp, sy = math.sin(roll), math.sin(pitch), math.sin(yaw)
    cr, cp, cy = math.cos(roll), math.cos(pitch), math.cos(yaw)
    return (
        sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy,
        cr * cp * sy - sr * sp * cy,
        cr * cp * cy + sr * sp * sy,
    )


def to_euler(rotation: Quaternion) -> tuple[float, float, float]:
    """Roll and yaw in [-pi, pi], pitch in [-pi/2, pi/2]. At the gimbal edge yaw is 0."""
    x, y, z, w = rotation
    sin_pitch = 2 * (w * y - x * z)
    across, along = 2 * (x * y + z * w), 1 - 2 * (y * y + z * z)
    # atan2 keeps the precision that asin loses near the edge.
    pitch = math.atan2(sin_pitch, math.hypot(across, along))
    if abs(sin_pitch) > GIMBAL_EDGE:
        return math.atan2(2 * (x * w - y * z), 1 - 2 * (x * x + z * z)), pitch, 0.0
    roll = math.atan2(2 * (y * z + x * w), 1 - 2 * (x * x + y * y))
    return roll, pitch, math.atan2(across, along)


def between(start: Quaternion, end: Quaternion) -> np.ndarray:
    """The rotation vector that leads from one orientation to the other."""
    return to_vector(multiply(end, inverse(start)))


def about(axis: Vector, angle: float) -> Quaternion:
    """Give the rotation about an axis of length 1."""
    x, y, z = axis
    sine = math.sin(angle / 2)
    return x * sine, y * sine, z * sine, math.cos(angle / 2)


def turned(rotation: Quaternion, vector: Vector) -> Vector:
    """A vector, turned."""
    x, y, z, w = rotation
    a, b, c = vector
    u, v, t = 2 * (y * c - z * b), 2 * (z * a - x * c), 2 * (x * b - y * a)
    return a + w * u + y * t - z * v, b + w * v + z * u - x * t, c + w * t + x * v - y * u


def angle_between(start: Quaternion, end: Quaternion) -> float:
    """Give the radians from one orientation to the other, the shorter way round."""
    x, y, z, w = multiply(end, inverse(start))
    return 2 * math.atan2(math.sqrt(x * x + y * y + z * z), abs(w))


def rotated(rotation: Quaternion, vector: np.ndarray) -> np.ndarray:
    """A vector (3,), turned."""
    return np.array(turned(rotation, vector.tolist()))


def z_axis(rotation: Quaternion) -> tuple[float, float, float]:
    """Where the z axis of the rotated frame points, in the base frame."""
    x, y, z, w = rotation
    return 2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)
