"""The arm's own kinematics, read from its URDF: where its joints are for a pose of the tool."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

import numpy as np

from vjepa_gate.pose import Pose
from vjepa_gate.rotations import (
    Quaternion,
    Vector,
    about,
    between,
    from_euler,
    multiply,
    turned,
)

_DAMPING = 0.02
_ENDS = (("lower", -math.inf), ("upper", math.inf))
_STEPS = 12  # of the solution, from joints that are near


@dataclass(frozen=True, kw_only=True)
class Joint:
    """From a link to the next, in the parent's frame."""

    name: str
    kind: str  # fixed, revolute, continuous or prismatic
    place: Vector
    turn: Quaternion
    axis: Vector  # of length 1
    low: float
    high: float

    @property
    def moves(self) -> bool:
        """Whether it has a position."""
        return self.kind != "fixed"


class Chain:
    """The joints from a base to a tool; ValueError where the URDF has no way between them."""

    def __init__(self, urdf: str, base: str, tool: str) -> None:
        try:
            elements = list(ElementTree.fromstring(urdf).iter("joint"))
        except ElementTree.ParseError as error:
            raise ValueError(f"robot_description is no XML: {error}") from error
        above = {_link(element, "child"): element for element in elements}
        joints, link = list[Joint](), tool
        while link != base:
            if link not in above or len(joints) > len(elements):
                raise ValueError(f"robot_description has no way from {base} to {tool}")
            joints.insert(0, _joint(above[link]))
            link = _link(above[link], "parent")
        self._joints = joints
        self.moving = [joint for joint in joints if joint.moves]
        self._slides = np.array([[joint.kind == "prismatic"] for joint in self.moving])

    def frames(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray, Pose]:
        """Places (n, 3) and axes (n, 3) of the joints that move, in the base, and the tool."""
        place, turn = (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0)
        places, axes, values = list[Vector](), list[Vector](), iter(positions.tolist())
        for joint in self._joints:
            place = _gone(place, turned(turn, joint.place))
            turn = multiply(turn, joint.turn)
            if not joint.moves:
                continue
            axis, value = turned(turn, joint.axis), next(values)
            places.append(place)
            axes.append(axis)
            if joint.kind == "prismatic":
                place = _gone(place, axis, value)
            else:
                turn = multiply(turn, about(joint.axis, value))
        return np.array(places), np.array(axes), Pose(np.array(place), turn)

    def solve(self, wanted: Pose, start: np.ndarray) -> tuple[np.ndarray, float]:
        """Positions near the start at which the tool is there, and the metres that are missing."""
        positions = np.array(start, float)
        for _ in range(_STEPS):
            places, axes, tool = self.frames(positions)
            way = wanted.position - tool.position
            error = np.concatenate((way, between(tool.rotation, wanted.rotation)))
            if np.abs(error).max() < 1e-4:
                break
            turns = np.where(self._slides, 0.0, axes)
            moves = np.where(self._slides, axes, np.cross(axes, tool.position - places))
            jacobian = np.concatenate((moves, turns), 1).T
            gram = jacobian @ jacobian.T + _DAMPING**2 * np.eye(6)
            positions = positions + jacobian.T @ np.linalg.solve(gram, error)
        missing = wanted.position - self.frames(positions)[2].position
        return positions, math.sqrt(missing @ missing)


def _gone(place: Vector, way: Vector, share: float = 1.0) -> Vector:
    x, y, z = place
    a, b, c = way
    return x + share * a, y + share * b, z + share * c


def _joint(element: ElementTree.Element) -> Joint:
    origin, axis, limit = (element.find(name) for name in ("origin", "axis", "limit"))
    kind = element.get("type", "fixed")
    place = "0 0 0" if origin is None else origin.get("xyz", "0 0 0")
    turn = "0 0 0" if origin is None else origin.get("rpy", "0 0 0")
    along = _numbers("1 0 0" if axis is None else axis.get("xyz", "1 0 0"))
    if kind != "fixed" and not along.any():
        raise ValueError(f"robot_description has a joint without an axis, {element.get('name')}")
    bounds = {} if limit is None or kind == "continuous" else limit.attrib
    low, high = (float(bounds.get(name, end)) for name, end in _ENDS)
    return Joint(
        name=element.get("name", ""),
        kind=kind,
        place=tuple(_numbers(place).tolist()),
        turn=from_euler(_numbers(turn)),
        axis=tuple((along / (math.sqrt(along @ along) or 1.0)).tolist()),
        low=low,
        high=high,
    )


def _link(element: ElementTree.Element, which: str) -> str:
    found = element.find(which)
    return "" if found is None else found.get("link", "")


def _numbers(text: str) -> np.ndarray:
    numbers = np.array([float(number) for number in text.split()])
    if numbers.shape != (3,) or not np.isfinite(numbers).all():
        raise ValueError(f"robot_description has '{text}', expected three numbers")
    return numbers
