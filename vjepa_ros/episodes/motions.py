"""What happens in an episode that is collected in the simulation.

A motion begins by resetting a scene and then moves the arm one control step at each `next`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from vjepa_sim.motion import (
    carry_motion,
    expert_motion,
    glimpses,
    handling_motion,
    random_motion,
    wandering,
    waypoint_motion,
)
from vjepa_sim.objects import KINDS
from vjepa_sim.scene import Scene
from vjepa_sim.tasks import GRASPABLE, PLACES, Task, make_task

# By episodes: the mixture of the study that first trained a world model on this arm.
MIXTURE = {"expert": 0.42, "waypoints": 0.35, "random": 0.23}
_FAR = 0.15  # share of the waypoints around an object where it is to be seen from afar
_EXPERT_TASKS = {"pick_place": 0.5, "grasp": 0.3, "reach_object": 0.1, "reach": 0.1}


@dataclass(kw_only=True)
class Motion:
    """An episode that has begun: `steps` moves the arm, `about` tells what it is about."""

    steps: Iterator[None]
    about: dict[str, Any] = field(default_factory=dict)


def begin_expert(scene: Scene, seed: int, rng: np.random.Generator, name: str = "") -> Motion:
    """A task (any, unless named) done with noise; the motion ends when it is done."""
    name = name or str(rng.choice(list(_EXPERT_TASKS), p=list(_EXPERT_TASKS.values())))
    task = _draw_task(name, rng)
    target = task.start(scene, seed)
    about: dict[str, Any] = {"task": task.title, "object": task.objects[0]}

    def demonstrate() -> Iterator[None]:
        yield from expert_motion(scene, task, target, rng)
        about["success"] = bool(task.judge(scene, target).success)

    return Motion(steps=demonstrate(), about=about)


def begin_waypoints(scene: Scene, seed: int, rng: np.random.Generator) -> Motion:
    """From pose to pose, often around an object."""
    about = _reset_with_some_objects(scene, seed, rng)
    return Motion(steps=waypoint_motion(scene, rng), about={"task": "waypoints", **about})


def begin_far(scene: Scene, seed: int, rng: np.random.Generator) -> Motion:
    """Wandering about, mostly far from the object of a task that nobody does."""
    task = _draw_task("pick_place", rng)
    task.start(scene, seed)
    about = {"task": "far", "object": task.objects[0]}
    return Motion(steps=wandering(scene, rng, _FAR), about=about)


def begin_glimpses(scene: Scene, seed: int, rng: np.random.Generator) -> Motion:
    """Frames that have nothing to do with each other, of the objects of a task."""
    task = _draw_task("pick_place", rng)
    task.start(scene, seed)
    about = {"task": "glimpses", "object": task.objects[0]}
    return Motion(steps=glimpses(scene, rng), about=about)


def begin_work(
    scene: Scene,
    seed: int,
    rng: np.random.Generator,
    name: str,
    motion: Callable[[Scene, Task, np.random.Generator], Iterator[None]],
) -> Motion:
    """Something done with the object of a task, over and over."""
    task = _draw_task("grasp", rng)
    task.start(scene, seed)
    about = {"task": name, "object": task.objects[0]}
    return Motion(steps=motion(scene, task, rng), about=about)


def begin_random(scene: Scene, seed: int, rng: np.random.Generator) -> Motion:
    """Drifting about."""
    about = _reset_with_some_objects(scene, seed, rng)
    return Motion(steps=random_motion(scene, rng), about={"task": "random", **about})


BEGIN: dict[str, Callable[[Scene, int, np.random.Generator], Motion]] = {
    "expert": begin_expert,
    "waypoints": begin_waypoints,
    "random": begin_random,
    "far": begin_far,
    "glimpses": begin_glimpses,
    "carry": partial(begin_work, name="carry", motion=carry_motion),
    "handle": partial(begin_work, name="handle", motion=handling_motion),
}


def _draw_task(name: str, rng: np.random.Generator) -> Task:
    return make_task(name, str(rng.choice(GRASPABLE)), str(rng.choice(PLACES)))


def _reset_with_some_objects(scene: Scene, seed: int, rng: np.random.Generator) -> dict[str, str]:
    kinds = [str(kind) for kind in rng.permutation(sorted(KINDS))[: rng.integers(1, 3)]]
    scene.config = replace(scene.config, objects=tuple(kinds))
    scene.reset(seed)
    return {"object": kinds[0]}
