"""What acts towards one sub-goal: the planner, or a servo that asks no world model."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from vjepa_ros.conventions import GRIPPER, POSITION
from vjepa_ros.planning import overlap, rules
from vjepa_ros.planning.config import PlannerConfig
from vjepa_ros.planning.cost_model import CostModel
from vjepa_ros.planning.objectives import Objective
from vjepa_ros.planning.planner import Planner
from vjepa_ros.planning.solvers import Cost
from vjepa_ros.planning.solvers.base import unsought
from vjepa_ros.planning.subgoals.way import Aim
from vjepa_ros.planning.task import Ahead, Decision, Task, TaskStatus
from vjepa_ros.planning.world_model import Context, Goal

_BESIDE = 0.005  # metres that a hand may go while its fingers work
_FAR = 0.03  # metres from where it shall be, from which on a hand does not go away from there
_SERVO_STEPS = 4  # that a servo takes towards the goal picture itself


@dataclass(kw_only=True)
class PlannerDriver:
    """Plans to one imagined latent at a time; the straight way there is a candidate like others."""

    config: PlannerConfig
    world_model: CostModel
    seed: int
    keep_samples: bool = False
    as_goal: Callable[[Tensor], Goal] = lambda latents: Goal(latents=latents)
    decision: Decision | None = field(default=None, init=False)  # the last one
    _task: Task | None = field(default=None, init=False)  # towards the aim
    # What was planned ahead, and to which key frame; it outlives an aim that is imagined anew.
    _foreseen: tuple[int, Ahead] | None = field(default=None, init=False)

    def aim(self, aim: Aim, context: Context) -> None:
        """Start a task whose only goal it is."""
        self._aim = aim
        model = _HeldFingers(self.world_model, aim, self.config.max_grip)
        config = self._config_of(aim, context.states[-1])
        self._planner = _Planner(config, model, aim, keep_samples=self.keep_samples)
        self._follower = Planner(replace(config, policy_mode="rank"), model)
        # What is near is told of a hand that does nothing else.
        free = Planner(self.config, self.world_model)
        self._task = free.start(context, [self.as_goal(aim.latents)], seed=self.seed)

    def _config_of(self, aim: Aim, state: Tensor) -> PlannerConfig:
        """While fingers work the hand stays; from afar it goes no further than to there."""
        if not aim.fingers:
            return self.config
        way = float((aim.position.to(state) - state[POSITION]).abs().max())
        most = _BESIDE if way < _FAR else way + _BESIDE
        return replace(self.config, max_step=min(self.config.max_step, most))

    def imagined(self) -> Context | None:
        """Where the last action is imagined to end, with `overlap`; to be asked for once."""
        if self._task is None or self._task.seen is None:
            return None
        imagined = overlap.imagined(self._planner.world_model.rollout, self._task)
        self._task = replace(self._task, seen=None)
        return imagined

    def foresee(self, context: Context, foresight: "PlannerDriver") -> None:
        """Take what another one decides there for a plan ahead."""
        assert foresight.decision is not None
        ahead = Ahead(context=context, decision=foresight.decision)
        self._foreseen = foresight._aim.key_frame, ahead

    def step(self, context: Context) -> Tensor | None:
        """What is decided: an action [7], or None where that task has ended.

        A step that would lead away from where the hand shall be is none: straight on instead. What
        is imagined from afar is off, most of all with something in the hand, and may look nearer
        to where it comes from.
        """
        assert self._task is not None
        if self._foreseen is not None and self._foreseen[0] == self._aim.key_frame:
            self._task = replace(self._task, ahead=self._foreseen[1])
        self._foreseen = None
        state = context.states[-1]
        candidate = towards(self._aim, state, self.config.max_step)
        proposals = candidate.expand(1, self.config.horizon, 7)
        task, decision = self._planner.plan(self._task, context, proposals)
        if decision.action is not None and self._retreats(decision.action, state):
            task, decision = self._follower.plan(self._task, context, proposals)
        self._task = task
        self.seed = self._task.seed  # the next task goes on from there
        if decision.solution is not None:
            held = hold_fingers(decision.solution.actions, self._aim, state, self.config.max_grip)
            decision = replace(decision, solution=replace(decision.solution, actions=held))
        self.decision = decision
        return decision.action

    def _retreats(self, action: Tensor, state: Tensor) -> bool:
        """Does it lead a hand that is far from where it shall be farther away from there?"""
        way = self._aim.position.to(state) - state[POSITION]
        left = (way - action[POSITION].to(way)).norm()
        return float(way.norm()) > _FAR and bool(left > way.norm())


@dataclass(kw_only=True)
class Servo:
    """Straight to each key frame: what proposals are worth without a world model."""

    stride: float  # metres along an axis in a step
    decision: Decision | None = field(default=None, init=False)

    def aim(self, aim: Aim, context: Context) -> None:
        """Head for it from now on."""
        self._aim, self._steps = aim, 0

    def step(self, context: Context) -> Tensor | None:
        """A stride towards the aim; at the goal picture it ends after a few."""
        self._steps += 1
        if self._aim.last and self._steps > _SERVO_STEPS:
            return None
        action = towards(self._aim, context.states[-1], self.stride)
        if self._aim.fingers == 1:
            action[GRIPPER] = 1.0  # fingers that only touch hold nothing
        self.decision = Decision(
            status=TaskStatus.RUNNING, reason="straight on", goal=0, energy=math.nan,
            solution=unsought(action),
        )  # fmt: skip
        return action


class _Planner(Planner):
    """One for which going straight to where the hand is to be is no effort, and leaving that is."""

    def __init__(
        self, config: PlannerConfig, world_model: CostModel, aim: Aim, *, keep_samples: bool
    ) -> None:
        super().__init__(config, world_model, keep_samples=keep_samples)
        self._aim = aim

    def _choose_fingers(
        self, task: Task, context: Context, score: Cost
    ) -> tuple[Task, rules.Fingers | None]:
        """The aim says what they do: of all changes held fingers make the same."""
        if self._aim.fingers is None or "fingers_first" not in self.config.rules:
            return super()._choose_fingers(task, context, score)
        return task, rules.choose_fingers(score, (0.0,), gain=0.0, floor=0.0)

    def _effortless(self, context: Context) -> Tensor:
        if self._aim.fingers is None:  # towards a picture that nobody has read a place off
            return super()._effortless(context)
        state, moves = context.states[-1].clone(), []
        for _ in range(self.config.horizon):
            move = towards_place(self._aim.position, state, self.config.max_step)[POSITION]
            state[POSITION] += move
            moves.append(move)
        return torch.stack(moves)


@dataclass(frozen=True)
class _HeldFingers:
    """A world model that scores candidates as they will be carried out: with the fingers held."""

    world_model: CostModel
    aim: Aim
    max_grip: float

    def cost(self, context: Context, goal: Goal, objective: Objective) -> Cost:
        cost = self.world_model.cost(context, goal, objective)
        return lambda actions: cost(self._held(actions, context))

    def rollout(self, context: Context, actions: Tensor) -> Tensor:
        return self.world_model.rollout(context, self._held(actions, context))

    def _held(self, actions: Tensor, context: Context) -> Tensor:
        return hold_fingers(actions, self.aim, context.states[-1], self.max_grip)


def towards(aim: Aim, state: Tensor, stride: float) -> Tensor:
    """The straight way [7] to an aim, no longer than a stride along an axis."""
    action = towards_place(aim.position, state, stride)
    if aim.fingers:
        action[GRIPPER] = aim.closedness - state[GRIPPER]
    return action


def towards_place(place: Tensor, state: Tensor, stride: float) -> Tensor:
    """The straight way [7] of the tool to a place [3], no longer than a stride along an axis."""
    action = torch.zeros(7, dtype=state.dtype)
    way = place.to(state) - state[POSITION]
    action[POSITION] = way * min(1.0, stride / max(float(way.abs().max()), 1e-9))
    return action


def hold_fingers(actions: Tensor, aim: Aim, state: Tensor, most: float) -> Tensor:
    """Actions [..., T, 7] with fingers that do in the first step what the key frame has them do, at
    most so much, and nothing more: where the hand goes is searched, and not whether what is carried
    is let go. They shut with force: those that only touch hold nothing.
    """
    if aim.fingers is None:
        return actions
    held = actions.clone()
    held[..., GRIPPER] = 0.0
    if aim.fingers:
        change = most if aim.fingers == 1 else float(aim.closedness - state[GRIPPER])
        held[..., 0, GRIPPER] = max(-most, min(most, change))
    return held
