"""One closed-loop trial: look, plan, move, until the planner ends; then judge by the truth."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vjepa_gate.robots import Robot
from vjepa_ros.evaluation.arm import GatedArm
from vjepa_ros.evaluation.pace import Pace
from vjepa_ros.planning.planner import Planner
from vjepa_ros.planning.subgoals.explain import NotUnderstood
from vjepa_ros.planning.world_model import Context, Goal
from vjepa_ros.policy.opening import Proposer, Seen
from vjepa_sim.expert import follow
from vjepa_sim.scene import Observation
from vjepa_sim.tasks import Episode, Outcome

_PAUSE = 1.0  # seconds between the last action and the judgement
_LIFTED = 0.02  # metres under an object's foot, from which on it was lifted
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
    done_before: bool = False  # the start was the goal already: the trial does not count
    alone: int = 0  # plans without a policy, where one was asked
    ahead: int = 0  # plans that were made ahead and corrected
    cpu_seconds: list[float] = field(default_factory=list)  # of this thread, for each plan
    idle: float | None = None  # share of the time in which the arm made no action, in real time


def run_trial(
    episode: Episode,
    *,
    planner: Planner,
    look: Look,
    robot: Robot,
    period: float,
    tolerance: float | None = None,
    disturb: Callable[[int], None] = lambda step: None,
    proposer: Proposer | None = None,
    watch: Callable[[Moment], None] | None = None,
    real_time: bool = False,
) -> Trial:
    """Drive an episode that has begun; each action takes `period` seconds.

    `disturb` is called with the number of each step before it is looked at. In real time the
    simulation goes on while a plan is made; else that takes no time.
    """
    scene = episode.scene
    arm, judge = GatedArm(scene, robot), _Judge(episode, tolerance)
    pace = Pace(
        arm,
        period,
        overlap=planner.config.overlap,
        real_time=real_time,
        # A planner of one's own has its thread to itself; of a policy only the answer is seen.
        clock=time.thread_time if real_time and proposer is None else time.perf_counter,
    )
    goals = [Goal(latents=look(goal.observation), name=goal.name) for goal in episode.goals]
    seconds: list[float] = []
    cpu_seconds: list[float] = []
    moments: list[Moment] = []
    alone = ahead = 0
    try:
        task = planner.start(_context(arm, look, arm.look()), goals, seed=scene.seed * _PLANS)
    except NotUnderstood as refusal:
        return _trial(judge, arm, f"refused: {refusal}", seconds, moments, [])
    while True:
        disturb(len(moments))
        observation = arm.look()
        pace.think()
        began = time.thread_time()
        proposals = None
        if proposer is not None:
            aim = episode.goals[task.pursuit.number].observation.rgb
            proposals = proposer(
                Seen(rgb=observation.rgb, state=arm.state_of(observation), goal=aim)
            )
            alone += proposals is None
        task, decision = planner.plan(task, _context(arm, look, observation), proposals)
        cpu_seconds.append(time.thread_time() - began)
        seconds.append(pace.thought(ahead=decision.ahead))
        moments.append(Moment(rgb=observation.rgb, goal=decision.goal, energy=decision.energy))
        if watch is not None:
            watch(moments[-1])
        if decision.action is None:
            break
        ahead += decision.ahead
        pace.act(decision.action)
        task = planner.ahead(task)
        pace.wait()
        judge.look()
    idle = pace.idle if real_time else None
    wanted = [goal.energy for goal in task.sub_goals]
    trial = _trial(judge, arm, decision.reason, seconds[:-1], moments, wanted)
    return replace(trial, cpu_seconds=cpu_seconds[:-1], alone=alone, ahead=ahead, idle=idle)


def run_expert(episode: Episode, *, robot: Robot, tolerance: float | None = None) -> Trial:
    """The scripted expert, which knows where everything is; it takes no gate."""
    judge, steps = _Judge(episode, tolerance), 0
    for waypoint in episode.task.path(episode.scene, episode.target):
        for _ in follow(episode.scene, waypoint):
            steps += 1
            judge.look()
    arm = GatedArm(episode.scene, robot)
    return replace(_trial(judge, arm, "the expert's path has ended", [], [], []), steps=steps)


class _Judge:
    """Judges strictly: what is placed was lifted before, what is lifted stays up for a second."""

    def __init__(self, episode: Episode, tolerance: float | None) -> None:
        self.episode, self._tolerance = episode, tolerance
        self.done_before = episode.outcome(tolerance).success  # the start is the goal already
        self._lifted = False

    def look(self) -> None:
        """See whether the object is off the table."""
        name = self.episode.task.objects[0]
        if self.episode.task.name == "pick_place" and not self._lifted:
            thing = self.episode.scene.truth()[name]
            foot = thing.position[2] - thing.body.height / 2
            self._lifted = bool(foot > _LIFTED)

    def outcome(self, before: Outcome) -> Outcome:
        """Of now, and of how it was a second before."""
        now, name = self.episode.outcome(self._tolerance), self.episode.task.name
        if name == "grasp" and now.success and not before.success:
            return before
        if name == "pick_place" and now.success and not self._lifted:
            return replace(now, success=False, reason="the object was not lifted")
        return now

    def now(self) -> Outcome:
        """As the task itself has it."""
        return self.episode.outcome(self._tolerance)


def _trial(
    judge: _Judge,
    arm: GatedArm,
    ended: str,
    seconds: list[float],
    moments: list[Moment],
    wanted: list[float | None],
) -> Trial:
    """Let a second go by, and judge."""
    before = judge.now()
    arm.rest(_PAUSE)
    outcome = judge.outcome(before)
    return Trial(
        seed=judge.episode.scene.seed,
        success=outcome.success,
        reason=outcome.reason,
        ended=ended,
        distance=outcome.distance,
        steps=max(0, len(moments) - 1),
        seconds=seconds,  # no search was made at the end
        energies=[moment.energy for moment in moments],
        goals=[moment.goal for moment in moments],
        wanted=wanted,
        refused=arm.refused,
        done_before=judge.done_before,
    )


def _context(arm: GatedArm, look: Look, seen: Observation) -> Context:
    return Context(latents=look(seen)[None], states=arm.state_of(seen)[None].float())


def look_with(encode: Callable[[Tensor], Tensor]) -> Look:
    """Latents from pictures alone, by a world model's encode."""
    return lambda observation: encode(torch.from_numpy(observation.rgb)[None])[0]
