"""Where hand and forearm must not be: in declared boxes, at the arm's own column, beyond a joint.

Simple shapes, a little larger than what they stand for: a hand is a palm, fingers and a wrist about
the tool; an arm of six joints or more has a column, from its base to its shoulder, and a forearm,
from elbow to wrist. The hand is looked at always; what needs joints, where the robot's description
and its joints were heard.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from vjepa_gate.kinematics import Chain
from vjepa_gate.pose import Pose
from vjepa_gate.robots import Box, Robot
from vjepa_gate.rotations import between, from_vector, multiply, turned

# Two ends in the tool's frame (z out of the fingers, which open along y), and a radius; metres.
_HAND = (
    ((0.0, -0.08, -0.07), (0.0, 0.08, -0.07), 0.035),  # palm
    ((0.0, 0.0, -0.05), (0.0, 0.0, -0.01), 0.01),  # fingers
    ((0.0, 0.0, -0.13), (0.0, 0.0, -0.21), 0.05),  # flange
)
_FOREARM, _COLUMN = 0.07, 0.09  # metres, radii
_ELBOW, _WRIST, _SHOULDER = 3, 5, 1  # of the joints that move
_POINTS = np.linspace(0.0, 1.0, 6)[:, None]  # of a shape that are looked at
_WAY = (0.5, 1.0)  # of the way to a goal
_UNREACHED = 0.02  # metres
_REPEATED = 1e-3  # metres or radians that something may be worse than it was at the start

_Shape = tuple[str, np.ndarray, float]  # name, points (n, 3) in the base, radius
_Found = dict[str, tuple[float, str]]  # how far each thing is where it must not be, in words


class KeepOut:
    """Judges the way from one pose of the tool to another."""

    def __init__(self, robot: Robot) -> None:
        self._boxes = dict(robot.keep_out or {})
        self._frames = robot.base_frame, robot.tool_frame
        self._chain: Chain | None = None
        self._joints: np.ndarray | None = None

    def observe_description(self, urdf: str) -> None:
        """Take the robot's description; raises ValueError for one without this arm."""
        self._chain = Chain(urdf, *self._frames)

    def observe_joints(self, names: Sequence[str], positions: Sequence[float]) -> None:
        """Take the arm's joints, if they are all there."""
        known = dict(zip(names, positions, strict=False))
        moving = self._chain.moving if self._chain else []
        if moving and all(joint.name in known for joint in moving):
            self._joints = np.array([known[joint.name] for joint in moving])

    def refusal(self, start: Pose, goal: Pose) -> str:
        """Why the tool must not go there, or nothing. Out of where it must not be, it may go."""
        joints = self._joints
        if not self._boxes and joints is None:
            return ""
        before = self._look(start, joints)
        turn = between(start.rotation, goal.rotation)
        for share in _WAY:
            position = start.position + share * (goal.position - start.position)
            pose = Pose(position, multiply(from_vector(share * turn), start.rotation))
            if self._chain is not None and joints is not None:
                joints, missing = self._chain.solve(pose, joints)
                if missing > _UNREACHED:
                    return f"the arm does not reach its goal, {1000 * missing:.0f} mm are missing"
            for key, (excess, words) in self._look(pose, joints).items():
                if excess > before.get(key, (0.0, ""))[0] + _REPEATED:
                    return words
        return ""

    def _look(self, tool: Pose, joints: np.ndarray | None) -> _Found:
        """What is where it must not be."""
        shapes, found = list(_hand(tool)), _Found()
        if self._chain is not None and joints is not None:
            for joint, value in zip(self._chain.moving, joints.tolist(), strict=True):
                excess = max(joint.low - value, value - joint.high)
                limit = joint.low if value < joint.low else joint.high
                found[joint.name] = (
                    excess,
                    f"{joint.name} would be {excess:.2f} rad beyond its limit {limit:.2f} rad",
                )
            origins, _, _ = self._chain.frames(joints)
            if len(origins) > _WRIST:
                shapes.append(("forearm", _line(origins[_ELBOW], origins[_WRIST]), _FOREARM))
                column = _line(np.zeros(3), origins[_SHOULDER])
                for name, points, radius in shapes:
                    depth = radius + _COLUMN - _apart(points, column)
                    found[f"{name} column"] = (
                        depth,
                        f"the {name} would be {_mm(depth)} inside the arm's own column",
                    )
        for name, points, radius in shapes:
            for which, box in self._boxes.items():
                depth = radius - _above(points, box)
                words = f"the {name} would be {_mm(depth)} inside {which} (keep_out)"
                if depth > found.get(f"{name} {which}", (0.0, ""))[0]:
                    found[f"{name} {which}"] = depth, words
        return {key: value for key, value in found.items() if value[0] > 0}


def _hand(tool: Pose) -> Iterator[_Shape]:
    for one, other, radius in _HAND:
        ends = (tool.position + turned(tool.rotation, end) for end in (one, other))
        yield "hand", _line(*ends), radius


def _line(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    return start + _POINTS * (end - start)


def _above(points: np.ndarray, box: Box) -> float:
    """Metres from the nearest point to the box, negative inside."""
    low, high = np.array(box.low), np.array(box.high)
    outside = np.maximum(low - points, points - high)
    away = np.linalg.norm(np.maximum(outside, 0.0), axis=1)
    return float((away + np.minimum(outside.max(axis=1), 0.0)).min())


def _apart(points: np.ndarray, others: np.ndarray) -> float:
    away = points[:, None] - others
    return math.sqrt(np.einsum("ijk,ijk->ij", away, away).min())


def _mm(length: float) -> str:
    return f"{1000 * length:.0f} mm"
