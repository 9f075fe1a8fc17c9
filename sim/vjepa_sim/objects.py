"""The things on the table: their sizes, looks and collision shapes.

Hollow things collide as rings of boxes, so that a cup can be held by its wall and a bowl
receives what is dropped into it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pybullet

from vjepa_sim import meshes
from vjepa_sim.bullet import Bullet
from vjepa_sim.geometry import matrix_to_quaternion, yaw_quaternion

FRICTION = 1.0
_WALL_PARTS = 12
_LIFT = 0.002  # metres that walls begin above the foot, which alone touches the table


@dataclass(frozen=True, kw_only=True)
class Part:
    """One convex piece of a collision shape: a box, or an upright cylinder."""

    size: tuple[float, float, float]  # box edges; a cylinder's diameter twice and height
    centre: tuple[float, float, float]
    quaternion_xyzw: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0)
    round: bool = False


@dataclass(frozen=True, kw_only=True)
class Body:
    """An object's geometry; its origin is the centre of its foot print on the table."""

    mesh: meshes.Mesh
    parts: tuple[Part, ...]
    mass: float  # kg
    height: float  # metres
    radius: float  # metres around the vertical axis that nothing else may enter
    grip_width: float  # metres across the fingers at yaw 0
    grip_height: float  # metres above the table for the TCP
    symmetry: float  # degrees after which it looks the same to the fingers


Dimensions = dict[str, float]


def _cube(d: Dimensions) -> Body:
    return _cuboid((d["side"], d["side"], d["side"]), density=700, symmetry=90)


def _box(d: Dimensions) -> Body:
    return _cuboid((d["length"], d["width"], d["height"]), density=350, symmetry=180)


def _cuboid(size: tuple[float, float, float], density: float, symmetry: float) -> Body:
    centre = (0.0, 0.0, size[2] / 2)
    return Body(
        mesh=meshes.box(size, centre),
        parts=(Part(size=size, centre=centre),),
        mass=density * math.prod(size),
        height=size[2],
        radius=math.hypot(size[0], size[1]) / 2,
        grip_width=size[1],
        grip_height=max(size[2] / 2, size[2] - 0.035),
        symmetry=symmetry,
    )


def _cup(d: Dimensions) -> Body:
    radius, height, wall, floor = d["radius"], d["height"], 0.004, 0.006
    inner = radius - wall
    mesh = meshes.lathe(
        [
            (0, 0),
            (radius - 0.003, 0),
            (radius, 0.003),
            (radius, height),
            (inner, height),
            (inner, floor),
            (0, floor),
        ]
    )
    foot = Part(size=(2 * inner, 2 * inner, floor), centre=(0, 0, floor / 2), round=True)
    return Body(
        mesh=mesh,
        parts=(foot, *_ring(radius, radius, _LIFT, height, wall)),
        mass=0.12,
        height=height,
        radius=radius,
        grip_width=2 * radius,
        grip_height=height - 0.028,
        symmetry=360 / _WALL_PARTS,
    )


def _bowl(d: Dimensions) -> Body:
    radius, height, wall, floor = d["radius"], d["height"], 0.004, 0.006
    foot = 0.55 * radius
    outer = [(foot + (radius - foot) * math.sin(t), height * (1 - math.cos(t))) for t in _ARC]
    inner = [(r - wall, max(z, floor)) for r, z in reversed(outer)]
    mesh = meshes.lathe([(0, 0), *outer, *inner, (0, floor)])
    rings: list[Part] = []
    for (r0, z0), (r1, z1) in zip(outer[:-1:2], outer[2::2], strict=True):
        rings += _ring(r0, r1, max(z0, _LIFT), z1, wall)
    base = Part(size=(2 * foot, 2 * foot, floor), centre=(0, 0, floor / 2), round=True)
    return Body(
        mesh=mesh,
        parts=(base, *rings),
        mass=0.35,
        height=height,
        radius=radius,
        grip_width=2 * radius,
        grip_height=height,
        symmetry=360 / _WALL_PARTS,
    )


_ARC = np.linspace(0.0, math.pi / 2, 5)


def _can(d: Dimensions) -> Body:
    radius, height = d["radius"], d["height"]
    lip = 0.003
    profile = [(0, 0), (radius - lip, 0), (radius, lip), (radius, height - lip)]
    return Body(
        mesh=meshes.lathe([*profile, (radius - lip, height), (0, height)]),
        parts=(Part(size=(2 * radius, 2 * radius, height), centre=(0, 0, height / 2), round=True),),
        mass=0.25,
        height=height,
        radius=radius,
        grip_width=2 * radius,
        grip_height=height - 0.03,
        symmetry=360 / _WALL_PARTS,
    )


def _ring(r0: float, r1: float, z0: float, z1: float, wall: float) -> list[Part]:
    """Boxes around z whose outer faces rise from radius r0 at z0 to r1 at z1."""
    slope = math.hypot(r1 - r0, z1 - z0)
    lean = math.atan2(r1 - r0, z1 - z0)  # outwards from upright
    parts = []
    for index in range(_WALL_PARTS):
        angle = 2 * math.pi * index / _WALL_PARTS
        radial = np.array((math.cos(angle), math.sin(angle), 0.0))
        up = np.array((0.0, 0.0, 1.0))
        along = math.sin(lean) * radial + math.cos(lean) * up
        out = math.cos(lean) * radial - math.sin(lean) * up
        middle = radial * (r0 + r1) / 2 + up * (z0 + z1) / 2 - out * wall / 2
        rotation = np.stack((out, np.cross(along, out), along), 1)
        width = 2 * max(r0, r1) * math.tan(math.pi / _WALL_PARTS)
        parts.append(
            Part(
                size=(wall, width, slope),
                centre=tuple(middle),
                quaternion_xyzw=tuple(matrix_to_quaternion(rotation)),
            )
        )
    return parts


@dataclass(frozen=True)
class Kind:
    """A sort of object: how to build it and the range of each of its dimensions in metres."""

    build: Callable[[Dimensions], Body]
    dimensions: dict[str, tuple[float, float]]


KINDS = {
    "cube": Kind(_cube, {"side": (0.040, 0.050)}),
    "box": Kind(
        _box, {"length": (0.060, 0.080), "width": (0.035, 0.048), "height": (0.045, 0.065)}
    ),
    "cup": Kind(_cup, {"radius": (0.028, 0.033), "height": (0.075, 0.090)}),
    "bowl": Kind(_bowl, {"radius": (0.075, 0.085), "height": (0.045, 0.055)}),
    "can": Kind(_can, {"radius": (0.025, 0.033), "height": (0.080, 0.110)}),
    "block": Kind(
        _box, {"length": (0.050, 0.100), "width": (0.030, 0.060), "height": (0.020, 0.050)}
    ),
}
DISTRACTORS = ("can", "block", "cup")


def draw_dimensions(kind: str, rng: np.random.Generator | None) -> Dimensions:
    """Random dimensions of a kind, or the middle of each range without a generator."""
    share = rng.uniform if rng is not None else lambda low, high: (low + high) / 2
    return {name: float(share(*limits)) for name, limits in KINDS[kind].dimensions.items()}


def spawn(
    bullet: Bullet,
    body: Body,
    position: tuple[float, float],
    yaw: float,
    colour: tuple[float, float, float],
    mesh_file: Path,
) -> int:
    """Stand an object on the table; returns PyBullet's number of the body.

    The mesh goes through a file because PyBullet never frees one that is given as numbers.
    """
    meshes.write_obj(mesh_file, body.mesh)
    visual = bullet.createVisualShape(
        pybullet.GEOM_MESH,
        fileName=str(mesh_file),
        rgbaColor=(*colour, 1.0),
        specularColor=(0.2, 0.2, 0.2),
    )
    centre = (0.0, 0.0, body.height / 2)
    unique = bullet.createMultiBody(
        baseMass=body.mass,
        baseCollisionShapeIndex=_collision_shape(bullet, body.parts),
        baseVisualShapeIndex=visual,
        basePosition=(*position, centre[2]),
        baseOrientation=yaw_quaternion(yaw).tolist(),
        baseInertialFramePosition=centre,
    )
    bullet.changeDynamics(
        unique, -1, lateralFriction=FRICTION, rollingFriction=2e-4, spinningFriction=2e-3
    )
    return unique


def _collision_shape(bullet: Bullet, parts: tuple[Part, ...]) -> int:
    return bullet.createCollisionShapeArray(
        shapeTypes=[pybullet.GEOM_CYLINDER if p.round else pybullet.GEOM_BOX for p in parts],
        halfExtents=[[edge / 2 for edge in part.size] for part in parts],
        radii=[part.size[0] / 2 for part in parts],
        lengths=[part.size[2] for part in parts],
        collisionFramePositions=[part.centre for part in parts],
        collisionFrameOrientations=[part.quaternion_xyzw for part in parts],
    )
