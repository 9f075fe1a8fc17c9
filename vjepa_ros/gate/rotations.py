"""Unit quaternions (x, y, z, w) as plain floats, for what runs at every tick.

The same algebra as in conventions, where one operation on a tensor takes longer than a
whole tick may. Rotation vectors are axis times angle, about the base axes.
"""

import math

import numpy as np

Quaternion = tuple[float, float, float, float]


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
    x, y, z, w = rotation
    return -x, -y, -z, w


def from_vector(vector: np.ndarray) -> Quaternion:
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


def between(start: Quaternion, end: Quaternion) -> np.ndarray:
    """The rotation vector that leads from one orientation to the other."""
    return to_vector(multiply(end, inverse(start)))


def z_axis(rotation: Quaternion) -> tuple[float, float, float]:
    """Where the z axis of the rotated frame points, in the base frame."""
    x, y, z, w = rotation
    return 2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)
