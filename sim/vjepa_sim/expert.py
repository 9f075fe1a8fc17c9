"""A scripted expert that knows where everything is: for demonstrations, goals, upper bounds.

A path is a list of named waypoints; `follow` moves the scene along one, a control step at a
time, so that whoever drives it can look in between:

    for waypoint in grasp_path(scene.truth()["cube"]):
        for _ in follow(scene, waypoint):
            frames.append(scene.observe())
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from vjepa_sim.geometry import pointing_down, quaternion_to_matrix, rotation_vector
from vjepa_sim.robot import MAX_WIDTH
from vjepa_sim.scene import ObjectTruth, Scene

PERIOD = 0.25  # seconds of a control step
STRIDE = 0.075  # metres asked for in one control step, at most
_PATIENCE = 24  # control steps for one waypoint
_ARRIVED = 0.003  # metres
_ALIGNED = 0.03  # radians
_STEADY = 0.0005  # metres that a gripper at rest moves in a control step
_STUCK = 5  # control steps without coming a millimetre closer: something is in the way

_CRUISE = 0.17  # metres: above this the hand clears what stands on the table
_LIFT = 0.15  # metres that an object is lifted
_OPENING = 0.02  # metres that the fingers open beyond the object when they let go in a bowl


@dataclass(frozen=True, kw_only=True)
class Waypoint:
    """A tool pose to reach and the width that the gripper shall have on the way and there."""

    name: str
    position: np.ndarray  # (3,)
    quaternion_xyzw: np.ndarray  # (4,)
    width: float  # metres


class Wobble:
    """Noise on the commanded position: an Ornstein–Uhlenbeck process, less near the goal."""

    def __init__(self, rng: np.random.Generator, deviation: float = 0.015) -> None:
        self._rng = rng
        self._deviation = deviation  # metres, far from the goal
        self._offset = np.zeros(3)

    def next(self, distance: float) -> np.ndarray:
        """The offset (3,) for this control step, `distance` metres away from the waypoint."""
        kick = self._rng.standard_normal(3) * self._deviation * math.sqrt(1 - 0.7**2)
        self._offset = 0.7 * self._offset + kick
        return self._offset * min(1.0, distance / 0.06)


def follow(scene: Scene, waypoint: Waypoint, wobble: Wobble | None = None) -> Iterator[None]:
    """Move to a waypoint; yields after every control step, until there, or stuck."""
    scene.set_gripper(waypoint.width)
    last_width, closest, without_progress = math.inf, math.inf, 0
    for _ in range(_PATIENCE):
        state = scene.state()
        offset = waypoint.position - state.position
        distance = float(np.linalg.norm(offset))
        turn = quaternion_to_matrix(waypoint.quaternion_xyzw)
        angle = rotation_vector(turn @ quaternion_to_matrix(state.quaternion_xyzw).T)
        steady = abs(state.width - last_width) < _STEADY
        if distance < _ARRIVED and np.linalg.norm(angle) < _ALIGNED and steady:
            return
        if distance < closest - 0.001 or not steady:
            closest, without_progress = min(distance, closest), 0
        elif without_progress == _STUCK:
            return
        without_progress += 1
        last_width = state.width
        target = state.position + offset * min(1.0, STRIDE / max(distance, 1e-9))
        if wobble is not None:
            target = target + wobble.next(distance)
        scene.set_target(target, waypoint.quaternion_xyzw)
        scene.step(PERIOD)
        yield


def perform(scene: Scene, path: list[Waypoint]) -> None:
    """Follow a whole path without looking."""
    for waypoint in path:
        for _ in follow(scene, waypoint):
            pass


def reach_path(scene: Scene, goal: np.ndarray, width: float) -> list[Waypoint]:
    """Straight to a goal (3,) with the gripper as it is told, in quarters."""
    start = scene.state()
    names = ("quarter", "half", "three_quarters", "reached")
    return [
        Waypoint(
            name=name,
            position=start.position + (goal - start.position) * (index + 1) / len(names),
            quaternion_xyzw=pointing_down(),
            width=width,
        )
        for index, name in enumerate(names)
    ]


def grasp_path(thing: ObjectTruth) -> list[Waypoint]:
    """above, around, closed, lifted."""
    x, y, z = thing.position
    grip = z - thing.body.height / 2 + thing.body.grip_height
    around = Waypoint(
        name="around",
        position=np.array((x, y, grip)),
        quaternion_xyzw=pointing_down(_grip_yaw(thing)),
        width=MAX_WIDTH,
    )
    return [
        replace(around, name="above", position=np.array((x, y, max(grip + 0.10, _CRUISE)))),
        around,
        replace(around, name="closed", width=0.0),
        replace(around, name="lifted", position=np.array((x, y, grip + _LIFT)), width=0.0),
    ]


def place_path(thing: ObjectTruth, spot: np.ndarray, floor: float) -> list[Waypoint]:
    """above_place, lowered, released, retreated: for an object as it stands before the grasp.

    spot (2,) is where on the table; floor the height in metres that the object is let go at.
    """
    x, y = spot
    low = floor + thing.body.grip_height
    opening = min(MAX_WIDTH, thing.body.grip_width + _OPENING)
    lowered = Waypoint(
        name="lowered",
        position=np.array((x, y, low)),
        quaternion_xyzw=pointing_down(_grip_yaw(thing)),
        width=0.0,
    )
    high = np.array((x, y, low + _LIFT))
    return [
        replace(lowered, name="above_place", position=high),
        lowered,
        replace(lowered, name="released", width=opening),
        replace(lowered, name="retreated", position=high, width=opening),
    ]


def _grip_yaw(thing: ObjectTruth) -> float:
    """The smallest turn from yaw 0 that puts the fingers across the object, radians."""
    rotation = quaternion_to_matrix(thing.quaternion_xyzw)
    yaw = math.atan2(rotation[1, 0], rotation[0, 0])
    return math.remainder(yaw, math.radians(thing.body.symmetry))
