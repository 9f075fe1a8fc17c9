"""The planner that goes to one picture by sub-goals, from the first frame to the end."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from table_world import (
    HIGH,
    PLACE,
    ImaginedTable,
    KnowsTheWay,
    TableWorld,
    go,
    goal_picture,
    latent,
    way,
)
from torch import Tensor

from vjepa_ros.conventions import POSITION
from vjepa_ros.planning.config import PLANNERS
from vjepa_ros.planning.objectives import Objective
from vjepa_ros.planning.solvers import Cost
from vjepa_ros.planning.subgoals.explain import NotUnderstood
from vjepa_ros.planning.subgoals.sheet import sheet, summary
from vjepa_ros.planning.subgoals.way_planner import WayPlanner, WayTask
from vjepa_ros.planning.task import Decision, TaskStatus
from vjepa_ros.planning.world_model import Context, Goal

PLAIN = PLANNERS["plain"]


def planner_of(source=None, config=PLAIN, **options) -> WayPlanner:
    world = ImaginedTable()
    source = source or KnowsTheWay()
    return WayPlanner(config, world, source=source, imagination=world, **options)


def test_one_picture_is_gone_to():
    planner, world = planner_of(servo=True), TableWorld()
    task = planner.start(world.context(), [Goal(latents=goal_picture())], seed=3)
    for _ in range(80):
        task, decision = planner.plan(task, world.context())
        if decision.action is None:
            break
        world.act(decision.action)
    assert decision.status is TaskStatus.REACHED
    assert task.end is TaskStatus.REACHED
    assert world.thing[:2].tolist() == pytest.approx(PLACE.tolist(), abs=0.025)


class Wavers(KnowsTheWay):
    """Would rather grasp alone, whenever it is asked anew."""

    asked = 0

    def propose(self, now, goal, state):
        (known,) = super().propose(now, goal, state)
        grasp = way(0, known.positions[:4], known.closedness[:4])
        self.asked += 1
        return [known if self.asked == 1 else grasp]


def test_a_way_begins_as_it_was_shown():
    planner, world = planner_of(Wavers(), servo=True), TableWorld()
    task = planner.start(world.context(), [Goal(latents=goal_picture())])
    assert task.explanation.proposal.end == 8
    _, decision = planner.plan(task, world.context())
    assert decision.reason.startswith("key frame 1 of 8")


def test_a_plan_that_is_thrown_away_is_as_if_it_had_never_been_made():
    planner, world = planner_of(), TableWorld()
    task = planner.start(world.context(), [Goal(latents=goal_picture())])
    for _ in range(3):
        planner.plan(task, world.context())  # thrown away
        after, decision = planner.plan(task, world.context())
        again, other = planner.plan(task, world.context())
        assert torch.equal(decision.action, other.action)
        assert after.steps == again.steps == task.steps + 1
        task = after
        world.act(decision.action)


@pytest.mark.parametrize("overlap", [False, True])
def test_a_way_is_planned_ahead_from_its_first_step_on(overlap: bool):
    planner, world = planner_of(config=replace(PLAIN, overlap=overlap)), TableWorld()
    task = planner.start(world.context(), [Goal(latents=goal_picture())])
    for _ in range(3):
        ahead = planner.ahead(task)  # before there is a step, too
        after, decision = planner.plan(ahead, world.context())
        _, other = planner.plan(task, world.context())
        assert torch.equal(decision.action, other.action)
        task = after
        world.act(decision.action)


def test_the_next_key_frame_is_planned_to_ahead_as_well():
    """Where the hand comes to a key frame can be foreseen: the arm need not wait there."""
    planner, world = planner_of(config=replace(PLAIN, overlap=True)), TableWorld()
    task, began = planner.start(world.context(), [Goal(latents=goal_picture())]), {}
    while task.end is None:
        task, decision = planner.plan(planner.ahead(task), world.context())
        key_frame = decision.reason.split(",")[0]
        if decision.action is not None:
            began.setdefault(key_frame, decision.ahead)
            world.act(decision.action)
    assert task.end is TaskStatus.REACHED
    first, *others = began.values()
    assert not first
    assert len(others) == 7
    assert sum(others) >= 5, began


class SeenOnTheWay(TableWorld):
    """One that is looked at when a step from rest is a quarter made."""

    def act(self, action: Tensor) -> None:
        if getattr(self, "_end", None) is None:
            self._end = self.tool
        begun = action.clone()
        begun[POSITION] = self._end + 0.25 * (self.tool + action[POSITION] - self._end) - self.tool
        self._end = self.tool + action[POSITION]
        super().act(begun)


def test_a_hand_that_is_looked_at_on_its_way_is_not_taken_for_one_that_is_kept_back():
    planner, world = planner_of(config=replace(PLAIN, overlap=True)), SeenOnTheWay()
    task, told = planner.start(world.context(), [Goal(latents=goal_picture())]), []
    while task.end is None and len(told) < 20:
        task, decision = planner.plan(task, world.context())
        told.append(decision.reason)
        world.act(decision.action)
    assert any("key frame 2" in one for one in told)
    assert not any("back to look again" in one for one in told), told


ELSEWHERE = torch.tensor((0.45, -0.2))


def test_several_pictures_are_gone_to_one_after_the_other():
    placed = {}

    def note(decision: Decision, world: TableWorld) -> None:
        placed[decision.goal] = world.thing[:2].clone()

    goals = [goal_picture(place) for place in (PLACE, ELSEWHERE)]
    decisions = go(planner_of(servo=True), TableWorld(), goals, note)
    assert decisions[-1].status is TaskStatus.REACHED
    assert placed[0].tolist() == pytest.approx(PLACE.tolist(), abs=0.025)
    assert placed[1].tolist() == pytest.approx(ELSEWHERE.tolist(), abs=0.025)


class NeverAgreesOn(KnowsTheWay):
    """Reads something into one picture that is never seen."""

    def __init__(self, goal: Tensor) -> None:
        self.goal = goal

    def disagreement(self, seen, imagined):
        odd = torch.equal(imagined, self.goal)
        return 2.0 if odd else super().disagreement(seen, imagined)


def test_what_is_amiss_at_a_picture_is_for_the_way_to_the_next_one():
    first = goal_picture(ELSEWHERE)
    planner, world = planner_of(NeverAgreesOn(first), servo=True), TableWorld()
    decisions = go(planner, world, [first, goal_picture()])
    assert decisions[-1].status is TaskStatus.REACHED
    assert world.thing[:2].tolist() == pytest.approx(PLACE.tolist(), abs=0.025)
    assert len(decisions) <= 60


def test_of_several_pictures_one_that_is_not_understood_is_planned_to():
    planner, world = planner_of(Unsure()), TableWorld()
    goals = [Goal(latents=goal_picture()), Goal(latents=goal_picture() + 0.1)]
    task = planner.start(world.context(), goals)
    assert planner.plan(task, world.context())[1].action is not None


def test_straight_to_where_the_hand_is_in_a_picture_is_a_candidate():
    """A search too small to find the way by itself goes there when the source sees the hand."""
    hand = torch.tensor((0.46, 0.03, 0.33))
    few, world = replace(PLANNERS["tiny"], samples=4, iterations=1, elites=2), TableWorld()
    reached = latent(hand, 0.0, world.thing, held=False)
    off = []
    for seen in (hand, None):
        planner = planner_of(SeesTheHand(seen), few)
        task = planner.start(world.context(), [Goal(latents=reached)])
        _, decision = planner.plan(task, world.context())
        off.append(float((world.tool + decision.action[:3] - hand).norm()))
    assert off[0] < 0.5 * off[1]


def test_a_search_that_gets_no_further_goes_straight_to_where_the_hand_is():
    """The energy need not come down on the way: then every search ends where it began."""
    hand, world = torch.tensor((0.46, 0.2, 0.33)), TableWorld()
    planner = WayPlanner(PLAIN, SeesNoBetterPlace(), source=SeesTheHand(hand), imagination=world)
    reached = latent(hand, 0.0, world.thing, held=False)
    task = planner.start(world.context(), [Goal(latents=reached)])
    far, said = float((world.tool - hand).norm()), []
    while (decided := planner.plan(task, world.context()))[1].action is not None:
        world.act(decided[1].action)
        task = decided[0]
        said.append(decided[1].reason)
    assert float((world.tool - hand).norm()) < 0.5 * far
    assert any("straight to where the hand is seen" in reason for reason in said)


class SeesNoBetterPlace(ImaginedTable):
    """Imagines that to stay is best, wherever it is."""

    def cost(self, context: Context, goal: Goal, objective: Objective) -> Cost:
        return lambda actions: actions.abs().sum((1, 2))


class SeesTheHand(KnowsTheWay):
    """Knows of a reach where it ends."""

    def __init__(self, hand: Tensor | None) -> None:
        self.hand = hand

    def propose(self, now, goal, state):
        return [replace(NO_WAY, hand=self.hand)]


def test_a_picture_without_key_frames_is_planned_to_as_ever():
    world = TableWorld()
    reached = latent(torch.tensor((0.5, 0.1, HIGH)), 0.0, PLACE3, held=False)
    world.thing = PLACE3.clone()
    task = planner_of().start(world.context(), [Goal(latents=reached)])
    assert not isinstance(task, WayTask)


class SeesFromThere(KnowsTheWay):
    """Proposes no way until the hand has been where the picture has it."""

    seen = False

    def propose(self, now, goal, state):
        self.seen = self.seen or float((now - goal)[0, :3].norm()) < 0.03
        return super().propose(now, goal, state) if self.seen else [NO_WAY]


class UnsureFromThere(SeesFromThere):
    """As a hand that is near hides what it is about."""

    def propose(self, now, goal, state):
        return [replace(one, confidence=0.1) for one in super().propose(now, goal, state)]


NO_WAY = way(0, torch.empty(0, 3), torch.empty(0))


@pytest.mark.parametrize("unseen", [True, False])
@pytest.mark.parametrize("source", [SeesFromThere, UnsureFromThere])
def test_what_was_taken_for_a_reach_is_looked_at_again_at_its_end(
    source: type[SeesFromThere], unseen: bool
):
    """The hand is then where the picture has it, and the object is not: a way is gone, however
    unsure it is.
    """
    planner, world = planner_of(source(), servo=True, unseen=unseen), TableWorld()
    task = planner.start(world.context(), [Goal(latents=goal_picture())])
    assert not isinstance(task, WayTask)
    while (decided := planner.plan(task, world.context()))[1].action is not None:
        world.act(decided[1].action)
        task = decided[0]
    placed = float((world.thing[:2] - PLACE).norm()) < 0.025
    assert placed is isinstance(task, WayTask) is unseen
    assert not unseen or task.explanation.refusal == ""
    assert (decided[1].status is TaskStatus.REACHED) is unseen


class TakesItForAReach(KnowsTheWay):
    """To its end, though it knows of a way, too."""

    def propose(self, now, goal, state):
        ways = [replace(one, confidence=0.01) for one in super().propose(now, goal, state)]
        return [replace(NO_WAY, hand=goal[0, :3]), *ways]


class Unimaginative(ImaginedTable):
    """Imagines that nothing comes about, and so cannot tell ways from one another."""

    def rollout(self, context, actions):
        return context.latents[-1].expand(*actions.shape[:2], *context.latents.shape[1:])


def test_where_a_reach_has_ended_elsewhere_some_finger_has_to_move():
    planner, world = planner_of(TakesItForAReach(), servo=True), TableWorld()
    planner.imagination = Unimaginative()
    task = planner.start(world.context(), [Goal(latents=goal_picture())])
    assert not isinstance(task, WayTask)
    while (decided := planner.plan(task, world.context()))[1].action is not None:
        world.act(decided[1].action)
        task = decided[0]
    assert decided[1].status is TaskStatus.REACHED
    assert float((world.thing[:2] - PLACE).norm()) < 0.025


PLACE3 = torch.tensor((*PLACE.tolist(), 0.02))


@pytest.mark.parametrize("mode", ["rank", "veto", "blend"])
def test_what_becomes_of_a_policy_does_not_become_of_key_frames(mode: str):
    """The straight way to one is a candidate of ours, and no policy's."""
    actions = []
    for config in (PLAIN, replace(PLAIN, policy_mode=mode)):
        planner, world = planner_of(config=config), TableWorld()
        task = planner.start(world.context(), [Goal(latents=goal_picture())], seed=3)
        actions.append(planner.plan(task, world.context())[1].action)
    assert torch.equal(*actions)


def test_more_steps_than_are_given_are_not_taken():
    planner, world = planner_of(), TableWorld()
    task = planner.start(world.context(), [Goal(latents=goal_picture())], max_steps=2)
    for _ in range(2):
        task, decision = planner.plan(task, world.context())
        world.act(decision.action)
    task, decision = planner.plan(task, world.context())
    assert decision.status is TaskStatus.OUT_OF_STEPS
    with pytest.raises(RuntimeError, match="has ended"):
        planner.plan(task, world.context())


@pytest.mark.parametrize(("given", "steps"), [(None, 80), (200, 200)])
def test_a_way_may_take_as_many_steps_as_are_given(given: int | None, steps: int):
    goals = [Goal(latents=goal_picture())]
    task = planner_of().start(TableWorld().context(), goals, max_steps=given)
    assert task.max_steps == task.way.config.max_steps == steps


class Unsure(KnowsTheWay):
    def propose(self, now, goal, state):
        return [replace(one, confidence=0.1) for one in super().propose(now, goal, state)]


class Astray(KnowsTheWay):
    """Proposes a way that leads away from the picture."""

    def propose(self, now, goal, state):
        return [way(0, state[:3] - torch.tensor([[0.3, 0.3, 0.0]] * 4), torch.zeros(4))]


class Ignorant(KnowsTheWay):
    def propose(self, now, goal, state):
        return []


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (Unsure(), "confidence 0.10, expected at least 0.4"),
        (Astray(), "comes nearer to this picture than staying"),
        (Ignorant(), "no way to this goal is known"),
    ],
)
def test_a_goal_that_is_not_understood_is_refused(source: KnowsTheWay, says: str):
    with pytest.raises(NotUnderstood, match=says):
        planner_of(source).start(TableWorld().context(), [Goal(latents=goal_picture())])


def test_the_way_is_shown_before_it_is_gone():
    explained = planner_of().explain(TableWorld().context(), Goal(latents=goal_picture()))
    names = ["above", "around", "shut", "lifted"]
    names += ["above the place", "lowered", "opened", "away"]
    assert [view.name for view in explained.views] == names
    held = [bool(view.picture.max()) for view in explained.views]
    assert held == [False, False, True, True, True, True, False, False]
    assert explained.nearer < 0.1
    picture = sheet(explained, np.zeros((20, 30, 3), np.uint8))
    assert picture.shape[1] > 9 * 160
    assert summary(explained).startswith("8 key frames, confidence 1.00")
