"""The arm's own kinematics, read from its URDF: where its joints are for a pose of the tool."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

import numpy as np

from vjepa_gate.pose import Pose, placed
from vjepa_gate.rotations import between, from_euler, from_vector, multiply, rotated

_DAMPING = 0.02
_ENDS = (("lower", -math.inf), ("upper", math.inf))
_STEPS = 12  # of the solution, from joints that are near


@dataclass(frozen=True, kw_only=True)
class Joint:
    """From a link to the next, in the parent's frame."""

    name: str
    kind: str  # fixed, revolute, continuous or prismatic
    origin: Pose
    axis: np.ndarray  # (3,)
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

    def frames(self, positions: np.ndarray) -> tuple[list[Pose], list[np.ndarray], Pose]:
        """Frames of the joints that move, their axes in the base, and the tool."""
        pose = Pose(np.zeros(3), (0.0, 0.0, 0.0, 1.0))
        frames, axes, values = list[Pose](), list[np.ndarray](), iter(positions)
        for joint in self._joints:
            pose = placed(pose, joint.origin)
            if not joint.moves:
                continue
            axis, value = rotated(pose.rotation, joint.axis), float(next(values))
            frames.append(pose)
            axes.append(axis)
            if joint.kind == "prismatic":
                pose = Pose(pose.position + value * axis, pose.rotation)
            else:
                pose = Pose(pose.position, multiply(from_vector(value * axis), pose.rotation))
        return frames, axes, pose

    def solve(self, wanted: Pose, start: np.ndarray) -> tuple[np.ndarray, float]:
        """Positions near the start at which the tool is there, and the metres that are missing."""
        positions = np.array(start, float)
        for _ in range(_STEPS):
            frames, axes, tool = self.frames(positions)
            way = wanted.position - tool.position
            error = np.concatenate((way, between(tool.rotation, wanted.rotation)))
            if np.abs(error).max() < 1e-4:
                break
            columns = [
                np.concatenate((axis, np.zeros(3)))
                if joint.kind == "prismatic"
                else np.concatenate((np.cross(axis, tool.position - frame.position), axis))
                for joint, frame, axis in zip(self.moving, frames, axes, strict=True)
            ]
            jacobian = np.stack(columns, 1)
            gram = jacobian @ jacobian.T + _DAMPING**2 * np.eye(6)
            positions = positions + jacobian.T @ np.linalg.solve(gram, error)
        missing = wanted.position - self.frames(positions)[2].position
        return positions, math.sqrt(missing @ missing)


def _joint(element: ElementTree.Element) -> Joint:
    origin, axis, limit = (element.find(name) for name in ("origin", "axis", "limit"))
    kind = element.get("type", "fixed")
    place = np.zeros(3) if origin is None else _numbers(origin.get("xyz", "0 0 0"))
    turn = np.zeros(3) if origin is None else _numbers(origin.get("rpy", "0 0 0"))
    bounds = {} if limit is None or kind == "continuous" else limit.attrib
    low, high = (float(bounds.get(name, end)) for name, end in _ENDS)
    return Joint(
        name=element.get("name", ""),
        kind=kind,
        origin=Pose(place, from_euler(turn)),
        axis=np.array((1.0, 0.0, 0.0)) if axis is None else _numbers(axis.get("xyz", "1 0 0")),
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
