"""Motions to collect data from: the expert with noise, wandering between waypoints, drifting.

Every motion is an iterator that takes one control step (expert.PERIOD) an item:

    for _ in islice(waypoint_motion(scene, rng), 40):
        frames.append(scene.observe())
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from vjepa_sim.expert import PERIOD, Waypoint, Wobble, follow, grasp_path
from vjepa_sim.geometry import pointing_down
from vjepa_sim.robot import MAX_WIDTH
from vjepa_sim.scene import Scene
from vjepa_sim.tasks import Task

WORKSPACE = np.array(((0.30, -0.28, 0.02), (0.66, 0.28, 0.42)))  # opposite corners, metres
_AIM_ERROR = 0.004  # metres that the noisy expert is off its object
_MISS = 0.12  # share of its paths that miss: fingers that shut on nothing, or on an edge
_MISS_ERROR = 0.015  # metres
_NEAR_OBJECT = 0.5  # share of the waypoints that lie around an object
_ALOFT = (0.17, 0.34)  # metres: clear of what stands on the table, and in the picture
_AROUND = 0.12  # share of the glimpses with open fingers around the object
_CLEAR, _HAND = 0.01, 0.11  # metres above things, and beside them, where the hand touches none
_ASIDE = 0.05  # metres, deviation of how far a thing that is handled is carried along an axis
_RAISED = 0.06  # metres that it is raised on the way, at most
_OPENED = (0.006, 0.04)  # metres that fingers which let go open beyond it
_UP = np.array((0.0, 0.0, 1.0))
_SPEED = 0.15  # m/s, deviation of the drift
_TURN = 0.25  # radians, largest yaw of a waypoint or a drift
_TURNING = 0.15  # rad/s, deviation of the drift's yaw
_SWITCH = 0.08  # chance of another gripper width in a step of the drift


def expert_motion(
    scene: Scene, task: Task, target: np.ndarray | None, rng: np.random.Generator
) -> Iterator[None]:
    """The expert's path from the task's start, off by some millimetres and unsteady."""
    wobble = Wobble(rng)
    error = _MISS_ERROR if rng.random() < _MISS else _AIM_ERROR
    aim = np.array((*rng.normal(0, error, 2), 0.0))
    for waypoint in task.path(scene, target):
        yield from follow(scene, replace(waypoint, position=waypoint.position + aim), wobble)


def carry_motion(scene: Scene, task: Task, rng: np.random.Generator) -> Iterator[None]:
    """Grasp what the task is about, then carry it from one random pose to the next; never ends."""
    for waypoint in grasp_path(scene.truth()[task.objects[0]]):
        yield from follow(scene, waypoint)
    low, high = (np.array((*corner[:2], z)) for corner, z in zip(WORKSPACE, _ALOFT, strict=True))
    grip = replace(waypoint, name="random")
    wobble = Wobble(rng)
    while True:
        yield from follow(scene, replace(grip, position=rng.uniform(low, high)), wobble)


def handling_motion(scene: Scene, task: Task, rng: np.random.Generator) -> Iterator[None]:
    """Take hold of what the task is about, put it down close by, and let it go; never ends."""
    wobble = Wobble(rng)
    while True:
        thing = scene.truth()[task.objects[0]]
        above, around, closed, _ = grasp_path(thing)
        aim = np.array((*rng.normal(0, _AIM_ERROR, 2), 0.0))
        above = replace(above, position=above.position + rng.uniform(-0.08, 0.04) * _UP)
        aside = np.array((*rng.normal(0, _ASIDE, 2), 0.0))
        down = np.clip(around.position + aside, *WORKSPACE)
        raised = replace(closed, position=down + rng.uniform(0, _RAISED) * _UP)
        down = replace(closed, position=down)
        width = min(MAX_WIDTH, thing.body.grip_width + rng.uniform(*_OPENED))
        opened = replace(down, width=width)
        away = replace(opened, position=down.position + rng.uniform(0.01, _RAISED) * _UP)
        for waypoint in (above, around, closed, raised, down, opened, away):
            yield from follow(scene, replace(waypoint, position=waypoint.position + aim), wobble)


def wandering(scene: Scene, rng: np.random.Generator, near_object: float) -> Iterator[None]:
    """waypoint_motion, begun anywhere, with the fingers however they are."""
    while not _put_hand(scene, rng):
        pass
    yield from waypoint_motion(scene, rng, near_object)


def waypoint_motion(
    scene: Scene, rng: np.random.Generator, near_object: float = _NEAR_OBJECT
) -> Iterator[None]:
    """From one random pose to the next, a share of them around an object; never ends."""
    wobble = Wobble(rng)
    low, high = WORKSPACE
    while True:
        position = rng.uniform(low, high)
        things = scene.truth()
        if things and rng.random() < near_object:
            thing = things[sorted(things)[rng.integers(len(things))]]
            height = rng.uniform(0.0, 0.15)
            position = thing.position + np.array((*rng.normal(0, 0.03, 2), height))
        waypoint = Waypoint(
            name="random",
            position=np.clip(position, low, high),
            quaternion_xyzw=pointing_down(rng.uniform(-_TURN, _TURN)),
            width=_random_width(rng),
        )
        yield from follow(scene, waypoint, wobble)


def glimpses(scene: Scene, rng: np.random.Generator) -> Iterator[None]:
    """No motion at all: at every look all things lie elsewhere, and so is the hand; never ends."""
    while True:
        scene.rearrange(rng, PERIOD)
        while not _put_hand(scene, rng):
            pass
        yield


def _put_hand(scene: Scene, rng: np.random.Generator) -> bool:
    """Somewhere, sometimes with open fingers around the first thing; false where out of reach."""
    thing = scene.placed[0]
    yaw, width = rng.uniform(-_TURN, _TURN), _random_width(rng)
    if rng.random() < _AROUND:
        height = thing.body.grip_height + rng.uniform(0.0, 0.03)
        position = np.array((*(thing.spot + rng.normal(0, 0.004, 2)), height))
        yaw, width = thing.yaw, MAX_WIDTH
    else:
        position = _clear_place(scene, rng)
    try:
        scene.robot.put(position, pointing_down(yaw), width)
    except ValueError:
        return False
    return True


def _clear_place(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """Where the hand touches nothing: half of these places above the first thing."""
    low, high = WORKSPACE
    above = rng.random() < _NEAR_OBJECT
    while True:
        place = rng.uniform(low, high)
        if above:
            first = scene.placed[0]
            height = first.body.height + rng.uniform(0.0, 0.2)
            place = np.array((*(first.spot + rng.normal(0, 0.03, 2)), height))
        if all(
            place[2] > thing.body.height + _CLEAR
            or np.hypot(*(place[:2] - thing.spot)) > thing.body.radius + _HAND
            for thing in scene.placed
        ):
            return np.clip(place, low, high)


def random_motion(scene: Scene, rng: np.random.Generator) -> Iterator[None]:
    """Drifting about with a velocity of its own (Ornstein–Uhlenbeck); never ends."""
    velocity, yaw = np.zeros(3), 0.0
    low, high = WORKSPACE
    scene.set_gripper(_random_width(rng))
    while True:
        kick = rng.standard_normal(3) * _SPEED * np.sqrt(1 - 0.8**2)
        velocity = 0.8 * velocity + kick
        wanted = scene.state().position + velocity * PERIOD
        inside = np.clip(wanted, low, high)
        velocity = np.where(wanted == inside, velocity, -velocity)
        yaw = float(np.clip(yaw + rng.normal(0, _TURNING) * PERIOD, -_TURN, _TURN))
        scene.set_target(inside, pointing_down(yaw))
        if rng.random() < _SWITCH:
            scene.set_gripper(_random_width(rng))
        scene.step(PERIOD)
        yield


def _random_width(rng: np.random.Generator) -> float:
    """Open, closed or in between, a third each."""
    return float((0.0, MAX_WIDTH, rng.uniform(0, MAX_WIDTH))[rng.integers(3)])
