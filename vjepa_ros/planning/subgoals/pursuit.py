"""From one picture to its end: propose the way, go from key frame to key frame, look again.

    pursuit = Pursuit(source=…, world_model=…, driver=…, goal=latents_of_the_picture)
    while (step := pursuit.step(context)).action is not None:
        carry_out(step.action)

The same twice over: `branched` gives one that goes on by itself, and a step that is thrown away is
one that only the branch has made.

Nothing here knows how an action is found: that is the driver's, which aims at one imagined
latent at a time.
"""

import copy
import math
from dataclasses import dataclass, field
from typing import Protocol, Self

import torch
from torch import Tensor

from vjepa_ros.conventions import GRIPPER, POSITION
from vjepa_ros.planning.subgoals.choice import choose
from vjepa_ros.planning.subgoals.keyframes import SLOTS
from vjepa_ros.planning.subgoals.misses import Miss
from vjepa_ros.planning.subgoals.source import Imagination, Proposal, SubGoalSource, imagine
from vjepa_ros.planning.subgoals.way import BACK, BEGIN, END, Aim, Way
from vjepa_ros.planning.task import TaskStatus
from vjepa_ros.planning.world_model import Context


class Driver(Protocol):
    """What finds actions towards one aim at a time."""

    def aim(self, aim: Aim, context: Context) -> None:
        """Head for it from now on."""

    def step(self, context: Context) -> Tensor | None:
        """An action [7], or None where the aim is reached or given up."""


@dataclass(frozen=True, kw_only=True)
class PursuitConfig:
    """Metres, closedness, control steps."""

    arrived: float = 0.012  # from a key frame where the fingers work
    passed: float = 0.03  # from one that is only passed
    patience: int = 8  # steps for one key frame
    lingered: int = 2  # steps as near as for one that is passed: what hinders it will not go away
    moved: float = 0.05  # a place proposed this far from before, twice: the object was moved
    tries: int = 4  # times that the way is begun anew
    judges_end: bool = True  # an end that does not agree with the picture is tried again, too
    max_steps: int = 80
    stride: float = 0.075  # along an axis in one imagined step
    at_rest: float = 0.03  # of closedness in a step: fingers that move less have come to rest
    worked: float = 0.1  # of closedness by which fingers must have moved where it is their turn
    slipped: float = 0.08  # of closedness by which fingers shut further once they hold nothing
    kept: float = 0.3  # share of a step that a hand has made which something keeps back
    agape: float = 0.3  # fingers this far from how they should come to an object have to move first


@dataclass(frozen=True, kw_only=True)
class Step:
    """What to do now; without an action it is over."""

    reason: str
    key_frame: int  # of the whole way; -1: the goal picture itself, or back to look again
    end: TaskStatus | None = None
    action: Tensor | None = None
    imagined: Tensor | None = None  # [L, D] that is aimed at


@dataclass(kw_only=True)
class Pursuit:
    """One picture, from the first frame to the end."""

    source: SubGoalSource
    world_model: Imagination
    driver: Driver
    goal: Tensor  # [L, D]
    config: PursuitConfig = field(default_factory=PursuitConfig)
    first: Proposal | None = None  # what to begin with; None: what is chosen then
    origin: Tensor | None = None  # state [7] that the scene was first seen in; None: then

    def __post_init__(self) -> None:
        self._steps, self._begun = 0, 0
        self._way: Way | None = None
        self._last_closedness = self._fingers_before = math.nan
        self._held = math.nan  # closedness on what is held
        self._asked: tuple[Tensor, Tensor] | None = None  # the last step [3], and where from [3]
        self._low: float | None = None  # height of the hand when its fingers last began to shut
        self._miss: Miss | None = None  # the last grasp, if it found nothing

    def step(self, context: Context) -> Step:
        """The next action from what is seen."""
        if self._steps >= self.config.max_steps:
            return self._end(
                f"max_steps, {self.config.max_steps}, are used up", TaskStatus.OUT_OF_STEPS
            )
        state = context.states[-1]
        self.origin = state if self.origin is None else self.origin
        proposals = self.source.propose(context.latents[-1], self.goal, state)
        if not proposals:
            return self._end("no way to this goal is known", TaskStatus.PLANNING_FAILED)
        way = self._look(proposals, context)
        if self._may_try_again and (self._slipped(state) or self._hindered(way, state)):
            self._note_miss(way, state)
            self._try_again(way, state)
        arrived = self._arrived(way, state)
        while arrived or (action := self._drive(way, context)) is None:  # given up
            agrees = self._agrees(way, context)
            again = not agrees and self._may_try_again
            if again:
                self._note_miss(way, state)
                self._try_again(way, state)
            elif way.at_goal:
                return self._at_the_end(agrees)
            elif way.slot == BACK:
                way = self._begin(proposals, context)
            else:
                self._take_hold(way, state)
                way.advance()
            arrived = not again and self._arrived(way, state)
        self._last_closedness = float(state[GRIPPER])
        self._asked = action[POSITION], state[POSITION]
        self._steps += 1
        way.steps += 1
        heading = "back to look again"
        if way.slot >= 0:
            heading = f"key frame {way.slot + 1} of {way.end}"
        return Step(
            reason=f"{heading}, step {self._steps}",
            key_frame=-1 if way.at_goal else max(way.slot, -1),
            action=action,
            imagined=None if way.aim is None else way.aim.latents,
        )

    def branched(self) -> Self:
        """The same as it is now; what either does from here on the other does not know."""
        branch = copy.copy(self)
        branch.driver, branch._way = copy.copy(self.driver), copy.deepcopy(self._way)
        return branch

    @property
    def _may_try_again(self) -> bool:
        return self._begun < self.config.tries

    def _end(self, reason: str, end: TaskStatus) -> Step:
        return Step(reason=reason, key_frame=self._way.slot if self._way else -1, end=end)

    def _at_the_end(self, agrees: bool) -> Step:
        if agrees:
            return self._end("the last key frame is reached", TaskStatus.REACHED)
        return self._end(
            "the hand is where the picture has it, but what is seen does not agree with it, "
            f"after {self._begun} more tries",
            TaskStatus.STALLED,
        )

    # --- the way -------------------------------------------------------------------------

    def _look(self, proposals: list[Proposal], context: Context) -> Way:
        """The way as what is seen has it now."""
        if self._way is None:
            if self.first is None:
                return self._begin(proposals, context)
            self._way = Way(self.first, context.states[-1, POSITION])
        if self._way.slot < 0:
            return self._way
        end = self._way.end
        alike = next((one for one in proposals if one.end == end), proposals[0])
        tool, config = context.states[-1, POSITION], self.config
        if self._way.take(alike, tool, moved=config.moved, arrived=config.arrived):
            return self._begin_anew(proposals, context) or self._way
        return self._way

    def _begin(self, proposals: list[Proposal], context: Context) -> Way:
        """Take the proposal that the world model bears out."""
        best, _ = choose(
            proposals, self.source, self.world_model, context, self.goal, self.config.stride
        )
        before, way = self._way, Way(best, context.states[-1, POSITION])
        self._way = way
        way.taken = None if before is None else before.taken
        if self._miss is not None and self._is_read_there(way, self._miss):
            way.beside = self._miss.beside
        return way

    def _is_read_there(self, way: Way, miss: Miss) -> bool:
        """Is the object that is grasped next proposed where a grasp has found nothing?"""
        place = way.where_fingers_work
        return place is not None and float((place[:2] - miss.place).norm()) < self.config.moved

    def _begin_anew(self, proposals: list[Proposal], context: Context) -> Way | None:
        """None where that was done often enough: then it is gone to its end as it is."""
        if not self._may_try_again:
            return None
        self._begun += 1
        return self._begin(proposals, context)

    def _try_again(self, way: Way, state: Tensor) -> None:
        """From where the scene was first seen: a hand that is low, or above a place, hides what
        is under it, and is read as if that were there. Straight up at first: what a finger is in
        would come along, and fall over.
        """
        assert self.origin is not None
        self._begun += 1
        self._held, way.taken = math.nan, None
        way.go_back(state, self.origin)

    def _note_miss(self, way: Way, state: Tensor) -> None:
        """Remember a grasp that found nothing; what is amiss otherwise is no matter of where.

        Fingers that shut higher up than proposed stood on something, too.
        """
        shut = way.slot % SLOTS == END and way.aim is not None and way.aim.fingers == 1
        stood, place = self._hindered(way, state), way.where_fingers_work
        self._miss = None
        if place is not None and (shut or stood):
            stood |= self._low is not None and self._low - float(place[2]) > self.config.arrived
            assert self.origin is not None
            self._miss = Miss.of(place[:2], way.beside, state, self.origin, stood=stood)

    def _arrived(self, way: Way, state: Tensor) -> bool:
        """Is the hand where the key frame has it, or has it been tried long enough?"""
        if way.slot >= way.end:
            return False  # towards the goal picture of a reach: the driver ends it
        if way.steps >= self.config.patience:
            return True
        position, closedness = way.key_frame
        if way.slot % SLOTS == END:
            still = abs(float(state[GRIPPER]) - self._last_closedness) < self.config.at_rest
            return still and abs(float(state[GRIPPER]) - self._fingers_before) > self.config.worked
        gap = abs(float(closedness - state[GRIPPER]))
        if way.aim is not None and way.aim.fingers and gap > self.config.agape:
            return False
        works = way.slot % SLOTS == BEGIN or way.at_goal
        off = float((position.to(state) - state[POSITION]).norm())
        if off >= self.config.passed:
            way.lingered = 0
            return False
        way.lingered += 1
        if not works or way.lingered > self.config.lingered:
            return True
        above = float(state[2] - position[2])
        lets_go = way.taken is not None and way.slot % SLOTS == BEGIN
        return off < self.config.arrived and not (lets_go and above > self.config.arrived / 2)

    def _agrees(self, way: Way, context: Context) -> bool:
        """Are the fingers, or at the end all that is seen, as they should be here?

        Fingers that shut on nothing go further than those that shut on what was to be held.
        """
        if way.slot % SLOTS == END:
            gap = abs(float(way.key_frame[1] - context.states[-1, GRIPPER]))
            return gap < self.config.agape
        if way.at_goal and self.config.judges_end:
            return self.source.disagreement(context.latents[-1], self.goal) < 1
        return True

    def _take_hold(self, way: Way, state: Tensor) -> None:
        """Remember how far the fingers shut on what they hold, and how high the hand was before;
        opened ones hold nothing.
        """
        if way.slot % SLOTS == BEGIN and math.isnan(self._held):
            self._low = float(state[2])
        elif way.slot % SLOTS == END and way.aim is not None:
            shut = way.aim.fingers == 1
            self._held = float(state[GRIPPER]) if shut else math.nan
            way.taken = self._low if shut else None
            self._miss, way.beside = None, torch.zeros(2)

    def _slipped(self, state: Tensor) -> bool:
        """Have the fingers lost what they held? Then they have shut further."""
        return float(state[GRIPPER]) - self._held > self.config.slipped

    def _hindered(self, way: Way, state: Tensor) -> bool:
        """Does something keep an empty hand from where its fingers shall work? It stands on it."""
        if self._asked is None or way.slot % SLOTS != BEGIN or not math.isnan(self._held):
            return False
        step, origin = self._asked
        gone, left = state[POSITION] - origin, way.key_frame[0].to(state) - state[POSITION]
        asked, made, off = (float(one.norm()) for one in (step, gone, left))
        return off >= self.config.passed and made < self.config.kept * asked

    def _drive(self, way: Way, context: Context) -> Tensor | None:
        """The driver's action; what it aims at is imagined anew once it is a stride away, as
        the fewer steps are imagined, the better.
        """
        far = self._is_far(way, context.states[-1])
        if way.stale or (way.far and not far):
            way.far = far
            way.aim = self._aim(way, context)
            way.stale = False
            self._fingers_before = float(context.states[-1, GRIPPER])
            self.driver.aim(way.aim, context)
        return self.driver.step(context)

    def _is_far(self, way: Way, state: Tensor) -> bool:
        """Is what it heads for more than a stride away?"""
        if way.slot >= way.end:
            return False
        gap = way.key_frame[0].to(state) - state[POSITION]
        return float(gap.abs().max()) > self.config.stride + 1e-6

    def _aim(self, way: Way, context: Context) -> Aim:
        if way.slot >= way.end:
            state = context.states[-1]
            return Aim(
                latents=self.goal, position=state[POSITION], closedness=float(state[GRIPPER]),
                fingers=None, last=True, key_frame=way.slot,
            )  # fmt: skip
        position, closedness = way.key_frame
        now = context.states[-1, GRIPPER]
        comes = way.slot < 0 or way.slot % SLOTS == 0
        comes = comes and abs(float(closedness - now)) > self.config.agape
        works = way.slot % SLOTS == END or comes
        opens = closedness <= now
        if now - closedness > self.config.worked:  # they let go: so far that any hand heeds it
            closedness = torch.minimum(closedness, now - self.config.agape).clamp(min=0.0)
        fingers = closedness if works else now
        return Aim(
            latents=self.goal if way.at_goal else self._imagine(way, fingers, context),
            position=position, closedness=float(fingers),
            fingers=(-1 if opens else 1) if works else 0, last=way.at_goal, key_frame=way.slot,
        )  # fmt: skip

    def _imagine(self, way: Way, fingers: Tensor, context: Context) -> Tensor:
        """The key frame [L, D] with the fingers so."""
        position, _ = way.key_frame
        there = Proposal(
            phase=way.slot,
            positions=position[None],
            closedness=fingers.float()[None],
            confidence=1.0,
        )
        return imagine(self.world_model, context, there, self.config.stride, 1)[0]
