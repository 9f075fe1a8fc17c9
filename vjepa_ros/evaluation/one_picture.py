"""One-picture trials: the world model's pursuit of a goal picture, and what it is measured against.

The floors are a policy that stays, a random one and the scripted expert. Servo moves straight to
the same proposals and asks no world model. Disturbances happen in mid-task.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from vjepa_gate.robots import load_robot
from vjepa_ros.conventions import GRIPPER, POSITION
from vjepa_ros.episodes.sensing import state_of
from vjepa_ros.evaluation.arm import GatedArm
from vjepa_ros.evaluation.conditions import CONDITIONS
from vjepa_ros.evaluation.trials import SETTLE
from vjepa_ros.planning.config import PlannerConfig
from vjepa_ros.planning.loading import Loaded
from vjepa_ros.planning.subgoals.driver import PlannerDriver, towards
from vjepa_ros.planning.subgoals.pursuit import Aim, Driver, Pursuit, PursuitConfig
from vjepa_ros.planning.subgoals.source import SubGoalSource
from vjepa_ros.planning.world_model import Context
from vjepa_sim.expert import PERIOD, follow
from vjepa_sim.scene import Scene
from vjepa_sim.tasks import Episode, Task, make_task

Policy = Literal["world_model", "servo", "stay", "random", "expert"]
POLICIES: tuple[Policy, ...] = ("world_model", "servo", "stay", "random", "expert")
DISTURBANCES = ("none", "push")
HOLD = 1.0  # seconds that a lifted object has to stay up
_FLOOR_STEPS = 30  # that the floors take
_PUSH = (0.05, 0.10)  # metres
_PUSH_AT = 4  # steps into the approach
_STREAM = 3000  # of a seed's random numbers


@dataclass(frozen=True, kw_only=True)
class PictureTrial:
    """How one picture's pursuit ended, as the truth has it; distance in metres."""

    seed: int
    success: bool
    reason: str  # of the judgement
    ended: str  # why the pursuit ended
    distance: float
    steps: int
    seconds: list[float]  # of each step: encoding, proposing, planning
    key_frames: list[int]  # aimed at in each step
    refused: list[str] = field(default_factory=list)  # actions that the arm gate did not take


@dataclass(frozen=True, kw_only=True)
class Pick:
    """What is asked for, and where."""

    task: str
    object: str = "cube"
    place: str = "spot"
    condition: str = "plain"
    disturbance: str = "none"

    def make_task(self) -> Task:
        """The task of the simulation."""
        return make_task(self.task, self.object, self.place)


class Servo:
    """Straight to each key frame: what proposals are worth without a world model."""

    def __init__(self, stride: float) -> None:
        self.stride = stride

    def aim(self, aim: Aim, context: Context) -> None:
        """Head for it from now on."""
        self._aim, self._steps = aim, 0

    def step(self, context: Context) -> Tensor | None:
        """A stride towards the aim; at the goal picture it ends after a few."""
        self._steps += 1
        if self._aim.last and self._steps > _PUSH_AT:
            return None
        action = towards(self._aim, context.states[-1], self.stride)
        if self._aim.fingers > 0:
            action[GRIPPER] = 1.0  # fingers that only touch hold nothing
        return action


def run_one(
    pick: Pick,
    policy: Policy,
    seed: int,
    scene: Scene,
    *,
    loaded: Loaded,
    source: SubGoalSource | None,
    planner: PlannerConfig,
    config: PursuitConfig,
) -> PictureTrial:
    """One trial from one picture, strictly judged; the same arguments give the same one."""
    episode = CONDITIONS[pick.condition].begin(scene, pick.make_task(), seed, "single")
    if policy == "expert":
        return _judged(episode, _expert_steps(episode), "the expert's path has ended")
    if policy in ("stay", "random"):
        return _judged(episode, _floor_steps(episode, policy), "its steps are used up")
    if source is None:
        raise ValueError(f"policy {policy!r} needs a source of sub-goals")
    model = loaded.world_model
    arm = GatedArm(scene, load_robot("sim"))

    def look() -> Context:
        seen = arm.look()
        latents = model.encode(torch.from_numpy(seen.rgb)[None])
        return Context(latents=latents, states=state_of(seen)[None].float())

    goal = model.encode(torch.from_numpy(episode.goals[0].observation.rgb)[None])[0]
    driver: Driver = Servo(config.stride)
    if policy == "world_model":
        driver = PlannerDriver(config=planner, world_model=model, seed=seed * 1000)
    pursuit = Pursuit(source=source, world_model=model, driver=driver, goal=goal, config=config)
    seconds: list[float] = []
    key_frames: list[int] = []
    while True:
        if pick.disturbance == "push" and len(seconds) == _PUSH_AT:
            push(scene, np.random.default_rng((seed, _STREAM)))
        began = time.perf_counter()
        context = look()
        step = pursuit.step(context)
        seconds.append(time.perf_counter() - began)
        if step.action is None:
            break
        key_frames.append(step.key_frame)
        arm.carry_out(step.action, loaded.config.step_period)
    trial = _judged(episode, iter(()), step.reason, seconds[:-1], key_frames)
    return replace(trial, refused=arm.refused)


def push(scene: Scene, rng: np.random.Generator) -> None:
    """Move the object of the task along the table, as a person would; it stays within reach."""
    name = scene.placed[0].name
    place = scene.truth()[name].position[:2]
    low, high = (np.array(corner) for corner in ((0.38, -0.20), (0.60, 0.20)))
    for _ in range(100):
        angle, way = rng.uniform(-np.pi, np.pi), rng.uniform(*_PUSH)
        there = place + way * np.array((np.cos(angle), np.sin(angle)))
        if (there > low).all() and (there < high).all():
            break
    scene.move_object(name, tuple(np.clip(there, low, high).tolist()))


# --- floors ------------------------------------------------------------------------------


def _expert_steps(episode: Episode) -> Iterator[None]:
    for waypoint in episode.task.path(episode.scene, episode.target):
        yield from follow(episode.scene, waypoint)


def _floor_steps(episode: Episode, policy: Policy) -> Iterator[None]:
    arm = GatedArm(episode.scene, load_robot("sim"))
    rng = np.random.default_rng((episode.scene.seed, _STREAM))
    for _ in range(_FLOOR_STEPS):
        action = torch.zeros(7, dtype=torch.float64)
        if policy == "random":
            action[POSITION] = torch.from_numpy(rng.uniform(-0.075, 0.075, 3))
            action[GRIPPER] = float(rng.uniform(-0.75, 0.75))
        arm.look()
        arm.carry_out(action, PERIOD)
        yield


def _judged(
    episode: Episode,
    steps: Iterator[None],
    ended: str,
    seconds: list[float] | None = None,
    key_frames: list[int] | None = None,
) -> PictureTrial:
    """Carry out what is left, let a second go by, and judge: what is lifted stays up for it."""
    taken = sum(1 for _ in steps) + len(key_frames or ())
    before = episode.outcome()
    episode.scene.step(HOLD if episode.task.name == "grasp" else SETTLE)
    outcome = episode.outcome()
    held = before.success or episode.task.name != "grasp"
    return PictureTrial(
        seed=episode.scene.seed,
        success=outcome.success and held,
        reason=outcome.reason,
        ended=ended,
        distance=outcome.distance,
        steps=taken,
        seconds=seconds or [],
        key_frames=key_frames or [],
    )
