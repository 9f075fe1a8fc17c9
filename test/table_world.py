"""A table with one thing on it, whose only latent token is all there is to know about it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from vjepa_ros.conventions import GRIPPER, POSITION
from vjepa_ros.episodes.episode import Trajectory
from vjepa_ros.episodes.npz import write_npz
from vjepa_ros.planning.objectives import Objective
from vjepa_ros.planning.planner import Planner
from vjepa_ros.planning.solvers import Cost
from vjepa_ros.planning.subgoals.driver import towards
from vjepa_ros.planning.subgoals.pursuit import Pursuit, PursuitConfig, Step
from vjepa_ros.planning.subgoals.source import Proposal, led_to_the_hand
from vjepa_ros.planning.subgoals.way import Aim
from vjepa_ros.planning.task import Decision
from vjepa_ros.planning.world_model import Context, Goal

LOW, HIGH = 0.02, 0.17
PLACE = torch.tensor((0.55, 0.15))
WIDTH = 0.5  # closedness of fingers around the thing


def latent(tool: Tensor, closedness: float, thing: Tensor, held: bool) -> Tensor:
    """[L = 1, D = 8]: tool, closedness, thing, held."""
    bits = torch.tensor((closedness, float(held)))
    return torch.cat((tool, bits[:1], thing, bits[1:]))[None]


class TableWorld:
    """Does what it is told. Fingers that shut around the thing hold it, on nothing they shut
    wholly; it can be moved.
    """

    reach = 4

    def __init__(self) -> None:
        self.tool, self.closedness = torch.tensor((0.40, 0.0, 0.30)), 0.0
        self.thing, self.held = torch.tensor((0.50, -0.10, LOW)), False
        self.slippery = 0  # grasps that slip as they are lifted

    def context(self) -> Context:
        seen = latent(self.tool, self.closedness, self.thing, self.held)
        return Context(latents=seen[None], states=self._state()[None])

    def act(self, action: Tensor) -> None:
        self.tool = self.tool + action[POSITION]
        before = self.closedness
        self.closedness = min(1.0, max(0.0, self.closedness + float(action[GRIPPER])))
        around = float((self.tool - self.thing).norm()) < 0.015
        if self.closedness > 0.4 > before:
            self.held = around
        if self.held and self.slippery and self.tool[2] > LOW + 0.03:
            self.held, self.slippery = False, self.slippery - 1
            self.thing = torch.tensor((*self.thing[:2].tolist(), LOW))
        if self.held and self.closedness < 0.4:
            self.held = False
            self.thing = torch.tensor((*self.thing[:2].tolist(), LOW))
        if self.held:
            self.thing, self.closedness = self.tool.clone(), min(self.closedness, WIDTH)
        elif self.closedness > 0.4:
            self.closedness = 1.0

    def rollout(self, context: Context, actions: Tensor) -> Tensor:
        """What this world imagines: grasps never fail."""
        assert len(actions) == 1
        imagined = TableWorld()
        _, _, thing, held = context.latents[-1, 0].split((3, 1, 3, 1))
        state = context.states[-1]
        imagined.tool, imagined.closedness = state[POSITION].clone(), float(state[GRIPPER])
        imagined.thing, imagined.held = thing.clone(), bool(held > 0.5)
        frames = []
        for action in actions[0]:
            imagined.act(action)
            frames.append(imagined.context().latents[-1])
        return torch.stack(frames)[None]

    def _state(self) -> Tensor:
        state = torch.zeros(7)
        state[POSITION], state[GRIPPER] = self.tool, self.closedness
        return state


class ImaginedTable(TableWorld):
    """A table world whose imagination scores actions, too."""

    def cost(self, context: Context, goal: Goal, objective: Objective) -> Cost:
        def energies(actions: Tensor) -> Tensor:
            ends = torch.stack([self.rollout(context, one[None])[0, -1] for one in actions])
            return objective.distance(ends, goal.latents)

        return energies


def goal_picture(place: Tensor = PLACE) -> Tensor:
    """The thing at its place, the hand above it."""
    place = torch.tensor((*place.tolist(), LOW))
    return latent(place + torch.tensor((0.0, 0.0, HIGH - LOW)), 0.2, place, held=False)


class KnowsTheWay:
    """A source that reads latents without error."""

    def propose(self, now: Tensor, goal: Tensor, state: Tensor) -> list[Proposal]:
        thing, held = now[0, 4:7], bool(now[0, 7] > 0.5)
        place = goal[0, 4:7]
        if float((thing[:2] - place[:2]).norm()) < 0.01 and not held:
            return [way(8, torch.empty(0, 3), torch.empty(0))]
        phase = 4 if held else 0
        frames = [*work(thing, 0.0, 0.5), *work(place, 0.5, 0.2)]
        positions = torch.stack([position for position, _ in frames])
        closedness = torch.tensor([value for _, value in frames])
        return [way(phase, positions[phase:], closedness[phase:])]

    def disagreement(self, seen: Tensor, imagined: Tensor) -> float:
        return float((seen - imagined)[0, 4:].abs().max()) / 0.06

    def picture(self, latents: Tensor) -> np.ndarray:
        return np.full((8, 8, 3), 255 * float(latents[0, 7]), np.uint8)  # white: it is held


def held_picture(where: Sequence[float]) -> Tensor:
    """The thing in the hand."""
    tool = torch.tensor(tuple(where))
    return latent(tool, 0.5, tool, held=True)


class WhetherItIsLetGo(KnowsTheWay):
    """Knows a way that lets go at the end and, trusted as much, one that does not."""

    def propose(self, now: Tensor, goal: Tensor, state: Tensor) -> list[Proposal]:
        thing, held, hand = now[0, 4:7], bool(now[0, 7] > 0.5), goal[0, :3]
        frames = [*work(thing, 0.0, 0.5), *work(goal[0, 4:7], 0.5, 0.2)]
        phase = (3 if float(state[2]) < LOW + 0.01 else 4) if held else 0
        proposals = []
        for ahead in (frames[phase:], frames[phase:4]):
            positions = torch.stack([place for place, _ in ahead]) if ahead else torch.empty(0, 3)
            known = way(phase, positions, torch.tensor([value for _, value in ahead]))
            proposals.append(led_to_the_hand(replace(known, hand=hand, confidence=0.5), state))
        return proposals


def way(phase: int, positions: Tensor, closedness: Tensor) -> Proposal:
    return Proposal(phase=phase, positions=positions, closedness=closedness, confidence=1.0)


def work(place: Tensor, before: float, after: float) -> list[tuple[Tensor, float]]:
    """The four key frames of one move of the fingers."""
    low, high = place.clone(), place.clone()
    low[2], high[2] = LOW, HIGH
    return [(high, before), (low, before), (low, after), (high, after)]


class Straight:
    """A driver that goes where it is told to, and remembers what it was."""

    def __init__(self) -> None:
        self.aims: list[Aim] = []

    def aim(self, aim: Aim, context: Context) -> None:
        self.aims.append(aim)
        self.steps = 0

    def step(self, context: Context) -> Tensor | None:
        self.steps += 1
        if self.aims[-1].last and self.steps > 5:
            return None
        return towards(self.aims[-1], context.states[-1], 0.075)


def pursue(
    world: TableWorld,
    disturb=lambda step, world: None,
    source=None,
    driver=None,
    goal=None,
    **options,
) -> list[Step]:
    pursuit = Pursuit(
        source=source or KnowsTheWay(),
        world_model=world,
        driver=driver or Straight(),
        goal=goal_picture() if goal is None else goal,
        config=PursuitConfig(**options),
    )
    steps: list[Step] = []
    while not steps or steps[-1].action is not None:
        steps.append(pursuit.step(world.context()))
        if steps[-1].action is not None:
            world.act(steps[-1].action)
            disturb(len(steps), world)
    return steps


def go(
    planner: Planner,
    world: TableWorld,
    goals: Sequence[Tensor],
    each: Callable[[Decision, TableWorld], None] = lambda decision, world: None,
) -> list[Decision]:
    """Go from picture to picture; the decisions that were made, the last of them the end."""
    task = planner.start(world.context(), [Goal(latents=one) for one in goals])
    decisions: list[Decision] = []
    while task.end is None:
        task, decision = planner.plan(task, world.context())
        decisions.append(decision)
        if decision.action is not None:
            world.act(decision.action)
            each(decision, world)
    return decisions


def assert_placed(world: TableWorld) -> None:
    assert not world.held
    assert world.thing[:2].tolist() == pytest.approx(PLACE.tolist(), abs=0.02)


# --- recordings --------------------------------------------------------------------------


def demonstration(thing: float, place: float) -> tuple[np.ndarray, np.ndarray]:
    """States [T, 7] and latents [T, 1, 8] of picking at y = thing and placing at y = place."""
    start = (0.40, 0.0, 0.30, 0.0)
    poses = [start]
    for y, before, after in ((thing, 0.0, 0.5), (place, 0.5, 0.2)):
        poses += [
            (0.5, y, z, c) for z, c in ((HIGH, before), (LOW, before), (LOW, after), (HIGH, after))
        ]
    states, latents = [], []
    for pose in [pose for pose in poses for _ in range(2)]:
        state = np.zeros(7)
        state[[0, 1, 2, 6]] = pose
        states.append(state)
        held = len(states) > 6 and pose[3] == 0.5
        y = thing if len(states) <= 6 else pose[1] if held else place
        tool = torch.tensor(pose[:3])
        at = tool if held else torch.tensor((0.5, y, LOW))
        latents.append(latent(tool, pose[3], at, held).numpy())
    return np.stack(states), np.stack(latents)


def write_demonstrations(folder: Path, successes: Sequence[bool | None], size: int) -> None:
    """An episode each, marked as it succeeded; its frames are as grey as its number."""
    for index, success in enumerate(successes):
        states, _ = demonstration(-0.1, 0.2)
        trajectory = Trajectory(
            states=states,
            stamps=0.25 * np.arange(len(states)),
            provenance={} if success is None else {"success": success},
        )
        frames = np.full((len(states), size, size, 3), index, np.uint8)
        write_npz(folder / f"{index}.npz", trajectory, frames)
