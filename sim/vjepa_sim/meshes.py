"""Small meshes made from numbers: solids of revolution and boxes."""

import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

_SQUARE = ((-1, -1), (-1, 1), (1, -1), (1, 1))


@dataclass(frozen=True)
class Mesh:
    vertices: np.ndarray  # [V, 3] metres
    faces: np.ndarray  # [F, 3] indices, counter-clockwise seen from outside
    normals: np.ndarray  # [V, 3]


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
        lower, upper = (
            np.stack((r * cosine, r * sine, np.full_like(cosine, z)), 1)
            for r, z in ((r0, z0), (r1, z1))
        )
        parts.append(_band(lower, upper, normal))
    return _joined(parts)


def box(size: tuple[float, float, float], centre: tuple[float, float, float]) -> Mesh:
    half = np.array(size) / 2
    parts = []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            normal, across, along = np.zeros(3), np.zeros(3), np.zeros(3)
            normal[axis] = across[(axis + 1) % 3] = sign
            along[(axis + 2) % 3] = 1.0
            corners = np.array([normal + a * across + b * along for b, a in _SQUARE])
            faces = np.array(((0, 1, 2), (1, 3, 2)))
            parts.append(Mesh(corners * half + centre, faces, np.tile(normal, (4, 1))))
    return _joined(parts)


def write_obj(path: Path, mesh: Mesh) -> None:
    lines = [f"v {x:.5g} {y:.5g} {z:.5g}" for x, y, z in mesh.vertices]
    lines += [f"vn {x:.3g} {y:.3g} {z:.3g}" for x, y, z in mesh.normals]
    lines += [f"f {a}//{a} {b}//{b} {c}//{c}" for a, b, c in (mesh.faces + 1).tolist()]
    path.write_text("\n".join(lines) + "\n")


def _joined(parts: list[Mesh]) -> Mesh:
    offsets = np.cumsum([0] + [len(part.vertices) for part in parts[:-1]])
    return Mesh(
        np.concatenate([part.vertices for part in parts]),
        np.concatenate([part.faces + start for part, start in zip(parts, offsets, strict=True)]),
        np.concatenate([part.normals for part in parts]),
    )


def _band(lower: np.ndarray, upper: np.ndarray, normal: np.ndarray) -> Mesh:
    """The strip between two rings of points that run counter-clockwise seen from above."""
    count = len(lower)
    first = np.arange(count - 1)
    faces = np.concatenate(
        (
            np.stack((first, first + 1, first + count), 1),
            np.stack((first + 1, first + count + 1, first + count), 1),
        )
    )
    return Mesh(np.concatenate((lower, upper)), faces, np.concatenate((normal, normal)))
