"""How the arm moves while episodes are collected in the simulation.

A motion starts an episode in a scene and then moves it one control step at each `next`.
All of them end in wandering, so that an episode can be of any length.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import numpy as np

from vjepa_sim.expert import PERIOD, Waypoint, Wobble, follow
from vjepa_sim.geometry import pointing_down
from vjepa_sim.objects import KINDS
from vjepa_sim.robot import MAX_WIDTH
from vjepa_sim.scene import Scene
from vjepa_sim.tasks import GRASPABLE, make_task

# The mixture of the study that trained a world model on this arm, by episodes.
MIXTURE = {"expert": 0.42, "waypoints": 0.35, "random": 0.23}
_TASKS = {"pick_place": 0.5, "grasp": 0.3, "reach_object": 0.1, "reach": 0.1}

_LOW, _HIGH = np.array((0.32, -0.26, 0.015)), np.array((0.66, 0.26, 0.36))  # metres
_NEAR_OBJECT = 0.6  # of the waypoints
_MISSES = 0.3  # of the expert's episodes: beside the object, so that failure is seen too
_MAX_YAW = 0.5  # radians


@dataclass(kw_only=True)
class Motion:
    """An episode that has begun: `steps` moves the arm, `about` tells what happens in it."""

    steps: Iterator[None]
    about: dict[str, Any] = field(default_factory=dict)


def begin_expert(scene: Scene, seed: int, rng: np.random.Generator, task: str = "") -> Motion:
    """A task done with noise on the way, sometimes a little beside the object."""
    name = task or str(rng.choice(list(_TASKS), p=list(_TASKS.values())))
    thing = str(rng.choice(GRASPABLE))
    job = make_task(name, thing, str(rng.choice(("spot", "bowl"))))
    target = job.start(scene, seed)
    motion = Motion(steps=iter(()), about={"task": job.title, "object": job.objects[0]})
    wobble = Wobble(rng, deviation=float(rng.uniform(0, 0.03)))
    miss = rng.normal(0, (0.02, 0.02, 0.006)) * (rng.random() < _MISSES)

    def demonstrate() -> Iterator[None]:
        for waypoint in job.path(scene, target):
            position = np.clip(waypoint.position + miss, _LOW, _HIGH)
            yield from follow(scene, replace(waypoint, position=position), wobble)
        motion.about["success"] = bool(job.judge(scene, target).success)

    motion.steps = chain(demonstrate(), _wander(scene, rng))
    return motion


def begin_waypoints(scene: Scene, seed: int, rng: np.random.Generator) -> Motion:
    """From one place to another, mostly around the objects, with hand and wrist at random."""
    thing = _reset_with_some_objects(scene, seed, rng)
    return Motion(steps=_wander(scene, rng), about={"task": "waypoints", "object": thing})


def begin_random(scene: Scene, seed: int, rng: np.random.Generator) -> Motion:
    """Velocity as an Ornstein–Uhlenbeck process; the hand opens and closes now and then."""
    thing = _reset_with_some_objects(scene, seed, rng)
    return Motion(steps=_drift(scene, rng), about={"task": "random", "object": thing})


BEGIN: dict[str, Callable[[Scene, int, np.random.Generator], Motion]] = {
    "expert": begin_expert,
    "waypoints": begin_waypoints,
    "random": begin_random,
}


def _reset_with_some_objects(scene: Scene, seed: int, rng: np.random.Generator) -> str:
    kinds = [str(kind) for kind in rng.permutation(sorted(KINDS))[: rng.integers(1, 3)]]
    scene.config = replace(scene.config, objects=tuple(kinds))
    scene.reset(seed)
    return kinds[0]


def _wander(scene: Scene, rng: np.random.Generator) -> Iterator[None]:
    wobble = Wobble(rng, deviation=float(rng.uniform(0, 0.03)))
    while True:
        position = rng.uniform(_LOW, _HIGH)
        truth = list(scene.truth().values())
        if rng.random() < _NEAR_OBJECT:
            thing = truth[rng.integers(len(truth))]
            position[:2] = thing.position[:2] + rng.normal(0, 0.03, 2)
            position[2] = rng.uniform(_LOW[2], 0.2)
        waypoint = Waypoint(
            name="wander",
            position=np.clip(position, _LOW, _HIGH),
            quaternion_xyzw=pointing_down(float(rng.uniform(-_MAX_YAW, _MAX_YAW))),
            width=_some_width(rng),
        )
        moved = False
        for step in follow(scene, waypoint, wobble):
            moved = True
            yield step
        if not moved:  # it was there already
            scene.step(PERIOD)
            yield


def _drift(scene: Scene, rng: np.random.Generator) -> Iterator[None]:
    keep, deviation = 0.8, np.array((0.045, 0.045, 0.04, 0.1))  # metres and radians a step
    stride, yaw = np.zeros(4), 0.0
    while True:
        kick = rng.standard_normal(4) * deviation * math.sqrt(1 - keep**2)
        stride = keep * stride + kick
        position = np.clip(scene.state().position + stride[:3], _LOW, _HIGH)
        yaw = float(np.clip(yaw + stride[3], -_MAX_YAW, _MAX_YAW))
        scene.set_target(position, pointing_down(yaw))
        if rng.random() < 0.15:
            scene.set_gripper(_some_width(rng))
        scene.step(PERIOD)
        yield


def _some_width(rng: np.random.Generator) -> float:
    """Mostly open or closed, as tasks have it."""
    return float(rng.choice((MAX_WIDTH, 0.0, rng.uniform(0, MAX_WIDTH)), p=(0.45, 0.4, 0.15)))
