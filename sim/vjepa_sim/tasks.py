"""What the robot is asked to do, the pictures that say so, and whether it was done.

    task = make_task("pick_place", object="cube", place="bowl")
    episode = task.reset(scene, seed=3, schedule="paper")
    ...                                     # drive the scene towards episode.goals
    print(episode.outcome())

Goal pictures show states that the expert really reached in the same scene; afterwards the
scene is reset, and the same seed gives the same start, bit for bit.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from vjepa_sim.expert import Waypoint, follow, grasp_path, perform, place_path, reach_path
from vjepa_sim.layout import REACHABLE, free_spot
from vjepa_sim.robot import MAX_WIDTH
from vjepa_sim.scene import ObjectTruth, Observation, Scene

GRASPABLE = ("cube", "box", "cup")
PLACES = ("spot", "bowl")
REACH_TOLERANCE = 0.05  # metres, as in the literature; 0.02 is the strict one
PLACE_TOLERANCE = 0.05
LIFT_HEIGHT = 0.08

_GOAL_AREA = ((0.36, 0.60), (-0.20, 0.20), (0.12, 0.34))  # x, y, z of a reach
_REACH = (0.15, 0.30)  # metres from the start
_MOVED = 0.10  # metres at least from where an object stands to its place
_AT_REST = 0.05  # m/s
_GOAL_STREAM = 1000  # of a seed's random numbers, apart from the scene's

_REACH_SCHEDULES = {
    "single": ("reached",),
    "paper": ("reached",),
    "dense": ("quarter", "half", "three_quarters", "reached"),
}
_GRASP = ("above", "around", "closed", "lifted")
SCHEDULES = {
    "reach": _REACH_SCHEDULES,
    "reach_object": _REACH_SCHEDULES,
    "grasp": {"single": ("lifted",), "paper": ("closed", "lifted"), "dense": _GRASP},
    "pick_place": {
        "single": ("retreated",),
        "paper": ("closed", "above_place", "released"),
        "dense": (*_GRASP, "above_place", "lowered", "released", "retreated"),
    },
}


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A sub-goal: what the camera and the robot's sensors report once it is reached."""

    name: str
    observation: Observation


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The judgement on ground truth."""

    success: bool
    distance: float  # metres: to the goal, to the place, or still missing to the lift
    reason: str


@dataclass(frozen=True, kw_only=True)
class Episode:
    """One start of a task in a scene, its goals, and its judge."""

    task: "Task"
    scene: Scene
    goals: list[Goal]
    target: np.ndarray | None  # (3,) where tool or object shall be; None for a grasp

    def outcome(self, tolerance: float | None = None) -> Outcome:
        """Judge the scene as it is now; the tolerance in metres is the task's own if None."""
        return self.task.judge(self.scene, self.target, tolerance)


@dataclass(frozen=True, kw_only=True)
class Task:
    """A kind of episode: make it with make_task."""

    name: str
    object: str | None = None  # what is grasped
    place: str | None = None  # where it goes

    @property
    def title(self) -> str:
        return " ".join(part for part in (self.name, self.object, self.place) if part)

    @property
    def tolerance(self) -> str:
        reach, place, lift = (100 * m for m in (REACH_TOLERANCE, PLACE_TOLERANCE, LIFT_HEIGHT))
        return {
            "reach": f"tool within {reach:g} cm of the goal (strict: 2 cm)",
            "reach_object": f"object held, tool within {reach:g} cm of the goal",
            "grasp": f"object held, {lift:g} cm above the table",
            "pick_place": f"object released, at rest within {place:g} cm of the place",
        }[self.name]

    @property
    def objects(self) -> tuple[str, ...]:
        """What has to be on the table."""
        thing = self.object or "cube"
        return (thing, "bowl") if self.place == "bowl" else (thing,)

    def reset(
        self, scene: Scene, seed: int, schedule: str = "single", camera: str = "exterior"
    ) -> Episode:
        """Start an episode, the goals of the schedule included."""
        if schedule not in SCHEDULES[self.name]:
            known = ", ".join(SCHEDULES[self.name])
            raise ValueError(f"no schedule {schedule!r} for {self.name}, expected one of {known}")
        wanted = SCHEDULES[self.name][schedule]
        target = self.start(scene, seed)
        goals = [
            Goal(name=waypoint.name, observation=scene.observe(camera))
            for waypoint in self.demonstrate(scene, target)
            if waypoint.name in wanted
        ]
        self.start(scene, seed)
        return Episode(task=self, scene=scene, goals=goals, target=target)

    def start(self, scene: Scene, seed: int) -> np.ndarray | None:
        """Reset the scene to this task's start, without goals; returns the target."""
        scene.config = replace(scene.config, objects=self.objects)
        scene.reset(seed)
        rng = np.random.default_rng((seed, _GOAL_STREAM))
        if self.name == "reach_object":
            perform(scene, grasp_path(scene.truth()[self.objects[0]]))
        if self.name.startswith("reach"):
            return _draw_reach(scene, rng)
        return self._draw_place(scene, rng) if self.name == "pick_place" else None

    def path(self, scene: Scene, target: np.ndarray | None) -> list[Waypoint]:
        """The expert's way from the start that the scene is in."""
        if self.name.startswith("reach"):
            width = 0.0 if self.name == "reach_object" else MAX_WIDTH
            assert target is not None
            return reach_path(scene, target, width)
        thing = scene.truth()[self.objects[0]]
        path = grasp_path(thing)
        if target is not None:
            path += place_path(thing, target[:2], target[2])
        return path

    def demonstrate(self, scene: Scene, target: np.ndarray | None) -> Iterator[Waypoint]:
        """Let the expert do it; yields each waypoint when it is reached."""
        for waypoint in self.path(scene, target):
            for _ in follow(scene, waypoint):
                pass
            yield waypoint

    def judge(
        self, scene: Scene, target: np.ndarray | None, tolerance: float | None = None
    ) -> Outcome:
        """Success on ground truth; the tolerance in metres is the task's own if None."""
        if self.name == "reach":
            assert target is not None
            return _judge_reach(scene, target, tolerance)
        thing = scene.truth()[self.objects[0]]
        if self.name == "grasp":
            return _judge_grasp(thing, tolerance)
        assert target is not None
        if self.name == "pick_place":
            return _judge_place(thing, target, tolerance)
        outcome = _judge_reach(scene, target, tolerance)
        if "fingers" in thing.touches:
            return outcome
        return replace(outcome, success=False, reason="object lost")

    def _draw_place(self, scene: Scene, rng: np.random.Generator) -> np.ndarray:
        """Where the object goes (x, y) and the height in metres to let it go at."""
        placed = scene.placed
        thing = placed[0]
        if self.place == "bowl":
            bowl = scene.truth()["bowl"]
            return np.array((*bowl.position[:2], 0.025))
        while True:
            spot = free_spot(thing.body.radius, REACHABLE, placed[1:], rng)
            if np.hypot(spot[0] - thing.spot[0], spot[1] - thing.spot[1]) > _MOVED:
                return np.array((*spot, 0.003))


def make_task(name: str, object: str | None = None, place: str | None = None) -> Task:
    """A task by name, with what is grasped and where it goes: spot or bowl."""
    if name not in SCHEDULES:
        raise ValueError(f"no task {name!r}, expected one of {', '.join(SCHEDULES)}")
    if name == "reach":
        return Task(name=name)
    object = object or "cube"
    if object not in GRASPABLE:
        raise ValueError(f"cannot grasp {object!r}, expected one of {', '.join(GRASPABLE)}")
    if name != "pick_place":
        return Task(name=name, object=object)
    place = place or "spot"
    if place not in PLACES:
        raise ValueError(f"no place {place!r}, expected one of {', '.join(PLACES)}")
    return Task(name=name, object=object, place=place)


def all_tasks() -> list[Task]:
    tasks = [make_task("reach")]
    tasks += [make_task(name, kind) for name in ("grasp", "reach_object") for kind in GRASPABLE]
    tasks += [make_task("pick_place", kind, place) for kind in GRASPABLE for place in PLACES]
    return tasks


def _draw_reach(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    start = scene.state().position
    low, high = np.array(_GOAL_AREA).T
    while True:
        goal = rng.uniform(low, high)
        if _REACH[0] < np.linalg.norm(goal - start) < _REACH[1]:
            return goal


def _judge_reach(scene: Scene, target: np.ndarray, tolerance: float | None) -> Outcome:
    tolerance = REACH_TOLERANCE if tolerance is None else tolerance
    distance = float(np.linalg.norm(scene.state().position - target))
    reason = f"tool {distance:.3f} m from the goal"
    return Outcome(success=distance <= tolerance, distance=distance, reason=reason)


def _judge_grasp(thing: ObjectTruth, height: float | None) -> Outcome:
    height = LIFT_HEIGHT if height is None else height
    held = "fingers" in thing.touches
    lift = float(thing.position[2] - thing.body.height / 2)
    missing = max(0.0, height - lift)
    reason = f"lifted {lift:.3f} m" if held else "object not between the fingers"
    return Outcome(success=held and missing == 0, distance=missing, reason=reason)


def _judge_place(thing: ObjectTruth, target: np.ndarray, tolerance: float | None) -> Outcome:
    tolerance = PLACE_TOLERANCE if tolerance is None else tolerance
    distance = float(np.linalg.norm(thing.position[:2] - target[:2]))
    foot = thing.position[2] - thing.body.height / 2
    if "fingers" in thing.touches:
        reason = "object not released"
    elif not -0.01 < foot < target[2] + 0.03:
        reason = f"object's foot at {foot:.3f} m"
    elif np.linalg.norm(thing.velocity) > _AT_REST:
        reason = "object still moving"
    elif distance > tolerance:
        reason = f"object {distance:.3f} m from its place"
    else:
        return Outcome(success=True, distance=distance, reason="placed and released")
    return Outcome(success=False, distance=distance, reason=reason)
