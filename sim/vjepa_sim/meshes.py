"""Small meshes made from numbers: solids of revolution, boxes, sheets."""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh as PyBullet's createVisualShape takes it."""

    vertices: np.ndarray  # [V, 3] metres
    faces: np.ndarray  # [F, 3] indices
    normals: np.ndarray  # [V, 3]
    uvs: np.ndarray  # [V, 2]


def lathe(profile: list[tuple[float, float]], segments: int = 24) -> Mesh:
    """Turn a profile of (radius, height) about z; its outside is on the right when going up.

    Each stretch of the profile is shaded by itself, so that edges stay sharp.
    """
    parts = []
    angles = np.linspace(0, 2 * math.pi, segments + 1)
    cosine, sine = np.cos(angles), np.sin(angles)
    for (r0, z0), (r1, z1) in pairwise(profile):
        length = math.hypot(r1 - r0, z1 - z0)
        outward, upward = (z1 - z0) / length, (r0 - r1) / length
        normal = np.stack((outward * cosine, outward * sine, np.full_like(cosine, upward)), 1)
        rings = [
            np.stack((r * cosine, r * sine, np.full_like(cosine, z)), 1)
            for r, z in ((r0, z0), (r1, z1))
        ]
        parts.append(_strip(rings[0], rings[1], normal))
    return joined(parts)


def box(size: tuple[float, float, float], centre: tuple[float, float, float] = (0, 0, 0)) -> Mesh:
    half = np.array(size) / 2
    parts = []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            normal = np.zeros(3)
            normal[axis] = sign
            across, along = np.zeros(3), np.zeros(3)
            across[(axis + 1) % 3], along[(axis + 2) % 3] = sign, 1.0
            corners = np.array([normal + a * across + b * along for b, a in _SQUARE])
            parts.append(_quad(corners * half + centre, normal))
    return joined(parts)


_SQUARE = ((-1, -1), (-1, 1), (1, -1), (1, 1))


def sheet(
    corner: np.ndarray, across: np.ndarray, along: np.ndarray, cells: int, repeats: float = 1.0
) -> Mesh:
    """A flat rectangle cut into cells × cells, for the renderer drops what it cannot clip."""
    steps = np.linspace(0, 1, cells + 1)
    u, v = (grid.ravel() for grid in np.meshgrid(steps, steps, indexing="xy"))
    vertices = corner + u[:, None] * across + v[:, None] * along
    normal = np.cross(across, along)
    normal = normal / np.linalg.norm(normal)
    first = (np.arange(cells)[:, None] * (cells + 1) + np.arange(cells)).ravel()
    right, above = first + 1, first + cells + 1
    faces = np.concatenate(
        (np.stack((first, right, above), 1), np.stack((right, above + 1, above), 1))
    )
    uvs = np.stack((u, v), 1) * repeats
    return Mesh(vertices, faces, np.tile(normal, (len(vertices), 1)), uvs)


def joined(parts: list[Mesh]) -> Mesh:
    offsets = np.cumsum([0] + [len(part.vertices) for part in parts[:-1]])
    return Mesh(
        np.concatenate([part.vertices for part in parts]),
        np.concatenate([part.faces + start for part, start in zip(parts, offsets, strict=True)]),
        np.concatenate([part.normals for part in parts]),
        np.concatenate([part.uvs for part in parts]),
    )


def _quad(corners: np.ndarray, normal: np.ndarray) -> Mesh:
    uvs = np.array(((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)))
    return Mesh(corners, np.array(((0, 1, 2), (1, 3, 2))), np.tile(normal, (4, 1)), uvs)


def _strip(lower: np.ndarray, upper: np.ndarray, normal: np.ndarray) -> Mesh:
    """The band between two rings of points that run counter-clockwise seen from above."""
    count = len(lower)
    first = np.arange(count - 1)
    faces = np.concatenate(
        (
            np.stack((first, first + 1, first + count), 1),
            np.stack((first + 1, first + count + 1, first + count), 1),
        )
    )
    around = np.linspace(0, 1, count)
    uvs = np.concatenate((np.stack((around, 0 * around), 1), np.stack((around, 0 * around + 1), 1)))
    return Mesh(np.concatenate((lower, upper)), faces, np.concatenate((normal, normal)), uvs)
