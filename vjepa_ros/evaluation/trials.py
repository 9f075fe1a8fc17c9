"""One closed-loop trial: look, plan, move, until the planner ends; then judge by the truth."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vjepa_gate.robots import Robot
from vjepa_ros.episodes.sensing import state_of
from vjepa_ros.evaluation.arm import GatedArm
from vjepa_ros.planning.planner import Planner
from vjepa_ros.planning.world_model import Context, Goal
from vjepa_ros.policy.opening import Proposer, Seen
from vjepa_sim.scene import Observation
from vjepa_sim.tasks import Episode

SETTLE = 1.0  # seconds between the last action and the judgement
_PLANS = 100_000  # more than one trial makes: seeds of its plans are its own

Look = Callable[[Observation], Tensor]  # what is seen, as latents [L, D]


@dataclass(frozen=True, kw_only=True)
class Moment:
    """What a trial was like when it planned; for videos."""

    rgb: NDArray[np.uint8]
    goal: int
    energy: float


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The result of one episode; distance in metres, as the task judges it."""

    seed: int
    success: bool
    reason: str  # of the judgement
    ended: str  # why the planner ended
    distance: float
    steps: int
    seconds: list[float]  # of each plan: the frame's encoding and the search
    energies: list[float]
    goals: list[int]  # index of the sub-goal aimed at in each step
    wanted: list[float | None]  # energy at which each sub-goal counts as reached
    refused: list[str]  # actions that the arm gate did not take, and why
    alone: int = 0  # plans without a policy, where one was asked


def run_trial(
    episode: Episode,
    *,
    planner: Planner,
    look: Look,
    robot: Robot,
    period: float,
    tolerance: float | None = None,
    proposer: Proposer | None = None,
    watch: Callable[[Moment], None] | None = None,
) -> Trial:
    """Drive an episode that has begun; each action takes `period` seconds."""
    scene = episode.scene
    arm = GatedArm(scene, robot)
    goals = [Goal(latents=look(goal.observation), name=goal.name) for goal in episode.goals]
    task = planner.start(_context(look, arm.look()), goals, seed=scene.seed * _PLANS)
    seconds: list[float] = []
    moments: list[Moment] = []
    alone = 0
    while True:
        observation = arm.look()
        began = time.perf_counter()
        proposals = None
        if proposer is not None:
            aim = episode.goals[task.pursuit.number].observation.rgb
            proposals = proposer(Seen(rgb=observation.rgb, state=state_of(observation), goal=aim))
            alone += proposals is None
        task, decision = planner.plan(task, _context(look, observation), proposals)
        seconds.append(time.perf_counter() - began)
        moments.append(Moment(rgb=observation.rgb, goal=decision.goal, energy=decision.energy))
        if watch is not None:
            watch(moments[-1])
        if decision.action is None:
            break
        arm.carry_out(decision.action, period)

    arm.rest(SETTLE)
    outcome = episode.outcome(tolerance)
    return Trial(
        seed=scene.seed,
        success=outcome.success,
        reason=outcome.reason,
        ended=decision.reason,
        distance=outcome.distance,
        steps=len(moments) - 1,
        seconds=seconds[:-1],  # no search was made at the end
        energies=[moment.energy for moment in moments],
        goals=[moment.goal for moment in moments],
        wanted=[goal.energy for goal in task.sub_goals],
        refused=arm.refused,
        alone=alone,
    )


def _context(look: Look, observation: Observation) -> Context:
    return Context(latents=look(observation)[None], states=state_of(observation)[None].float())


def look_with(encode: Callable[[Tensor], Tensor]) -> Look:
    """Latents from pictures alone, by a world model's encode."""
    return lambda observation: encode(torch.from_numpy(observation.rgb)[None])[0]
