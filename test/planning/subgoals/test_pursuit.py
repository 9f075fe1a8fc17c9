"""The way to a picture: followed, looked at again, begun anew, and given up."""

import itertools
from dataclasses import replace

import pytest
import torch
from table_world import (
    HIGH,
    LOW,
    PLACE,
    KnowsTheWay,
    Straight,
    TableWorld,
    WhetherItIsLetGo,
    assert_placed,
    goal_picture,
    held_picture,
    pursue,
    way,
    work,
)

from vjepa_ros.conventions import GRIPPER
from vjepa_ros.planning.subgoals.driver import hold_fingers
from vjepa_ros.planning.subgoals.pursuit import Pursuit
from vjepa_ros.planning.subgoals.way import Aim
from vjepa_ros.planning.task import TaskStatus


def test_the_object_gets_to_where_the_picture_has_it():
    world = TableWorld()
    steps = pursue(world)
    assert_placed(world)
    assert world.tool.tolist() == pytest.approx([*PLACE.tolist(), HIGH], abs=0.02)
    assert len(steps) < 30
    assert steps[-1].reason == "the last key frame is reached"
    frames = [step.key_frame for step in steps if step.action is not None]
    assert frames[: len(frames) - frames.count(-1)] == sorted(frames)[frames.count(-1) :]


def test_what_is_aimed_at_is_what_the_world_model_imagines():
    world = TableWorld()
    held_up = [step.imagined for step in pursue(world) if step.key_frame == 3]
    tool, thing = held_up[0][0, :3], held_up[0][0, 4:7]
    assert thing.tolist() == pytest.approx(tool.tolist())  # it is imagined in the hand
    assert float(tool[2]) == pytest.approx(HIGH)


def test_what_is_near_is_imagined_in_one_step():
    """What a world model errs with each step that it imagines is not gone after."""

    class Drifting(TableWorld):
        def rollout(self, context, actions):
            imagined = super().rollout(context, actions)
            drift = 0.02 * torch.arange(actions.shape[1])[None, :, None]
            imagined[..., 0] += drift  # of the tool, along x
            return imagined

    around = [float(step.imagined[0, 0]) for step in pursue(Drifting()) if step.key_frame == 1]
    assert around[0] == pytest.approx(0.50 + 0.02)  # two steps above
    assert around[-1] == pytest.approx(0.50)


def test_an_object_moved_during_the_approach_is_followed():
    def push(step: int, world: TableWorld) -> None:
        if step == 3:
            world.thing = torch.tensor((0.44, -0.02, LOW))

    world = TableWorld()
    pursue(world, push)
    assert_placed(world)


def test_an_object_dropped_while_carried_is_picked_up_again():
    def drop(step: int, world: TableWorld) -> None:
        if world.held and world.tool[2] > 0.15 and not hasattr(world, "dropped"):
            world.held, world.dropped = False, True
            world.thing = torch.tensor((0.52, 0.02, LOW))

    world = TableWorld()
    pursue(world, drop)
    assert_placed(world)


@pytest.mark.parametrize("where", [(*PLACE.tolist(), HIGH), (0.50, -0.10, LOW)])
def test_what_the_picture_has_in_the_hand_is_held_there(where):
    """Lifted elsewhere, or not at all."""
    world = TableWorld()
    steps = pursue(world, source=WhetherItIsLetGo(), goal=held_picture(where))
    assert steps[-1].reason == "the last key frame is reached"
    assert world.held
    assert world.tool.tolist() == pytest.approx(where, abs=0.02)
    lifted = any(step.key_frame == 3 for step in steps[:-1])
    assert lifted is (where[2] == HIGH)


class SeesItUnderTheHand(KnowsTheWay):
    """Wherever the hand is not high above the table, as it was in all that it has learnt from."""

    def propose(self, now, goal, state):
        if state[2] < 0.25 and not now[0, 7]:
            now = now.clone()
            now[0, 4:6] = state[:2]
        return super().propose(now, goal, state)


def test_after_a_grasp_of_nothing_the_scene_is_seen_from_where_it_was_seen_first():
    def push(step: int, world: TableWorld) -> None:
        if world.tool[2] < 0.1 and not hasattr(world, "pushed"):
            world.thing, world.pushed = torch.tensor((0.44, -0.02, LOW)), True

    world = TableWorld()
    steps = pursue(world, push, source=SeesItUnderTheHand())
    assert_placed(world)
    assert sum(step.reason.startswith("back to look again") for step in steps) in range(2, 8)


def test_it_goes_back_straight_up_at_first():
    """A cup that a finger is in falls over where the hand goes aside."""
    world, places = TableWorld(), []
    world.slippery = 1
    pursue(world, lambda step, world: places.append(world.tool.clone()))
    before = next(number for number, one in enumerate(places) if one[2] < LOW + 0.01)
    risen = next(number for number in range(before, len(places)) if places[number][2] > 0.27)
    rise = torch.stack(places[before : risen + 1])
    assert (rise[:, :2] - rise[0, :2]).abs().max() < 0.001


@pytest.mark.parametrize(("fails", "placed"), [(1, True), (2, True), (3, False)])
def test_a_grasp_that_failed_is_tried_again_but_not_for_ever(fails: int, placed: bool):
    world = TableWorld()
    world.slippery = fails
    last = pursue(world, tries=2)[-1]
    assert (float((world.thing[:2] - PLACE).norm()) < 0.02) is placed
    assert last.end is (TaskStatus.REACHED if placed else TaskStatus.STALLED)
    assert ("does not agree with it, after 2 more tries" in last.reason) is not placed


class OpensALittle(KnowsTheWay):
    """As whoever has learnt from recordings in which fingers opened now more, now less."""

    def propose(self, now, goal, state):
        (known,) = super().propose(now, goal, state)
        ajar = torch.where(known.closedness == 0.2, 0.3, known.closedness)
        return [replace(known, closedness=ajar)]


class OpensOrShuts(TableWorld):
    """A table whose hand is a Franka's: small changes it does not heed, and it opens wholly."""

    def act(self, action):
        change, action = float(action[GRIPPER]), action.clone()
        action[GRIPPER] = 0.0 if abs(change) < 0.25 else 1.0 if change > 0 else -1.0
        super().act(action)
        if self.held:
            self.closedness = 0.5


def test_what_is_held_is_put_down_as_low_as_it_was_taken_up():
    """A proposal that lets go above that is lowered by so much as demonstrations do, no more."""

    class LetsGoAbove(KnowsTheWay):
        def __init__(self, above: float) -> None:
            self.above = above

        def propose(self, now, goal, state):
            [one] = super().propose(now, goal, state)
            positions = one.positions.clone()
            low = positions[:, 2] < LOW + 0.001
            low[: max(0, 4 - one.phase)] = False
            positions[low, 2] += self.above
            return [replace(one, positions=positions)]

    for above, left in ((0.005, 0.0), (0.012, 0.0), (0.02, 0.008), (0.08, 0.068)):
        driver, world = Straight(), TableWorld()
        pursue(world, source=LetsGoAbove(above), driver=driver)
        [lets_go] = [aim for aim in driver.aims if aim.fingers == -1]
        assert float(lets_go.position[2]) == pytest.approx(LOW + left, abs=2e-3)


def test_fingers_that_let_go_open_so_far_that_any_hand_heeds_it():
    world = OpensOrShuts()
    assert len(pursue(world, source=OpensALittle())) < 30
    assert_placed(world)


class ThinksItIsShutting(KnowsTheWay):
    """Of fingers that have shut already."""

    def propose(self, now, goal, state):
        (known,) = super().propose(now, goal, state)
        if known.phase != 4:
            return [known]
        frames = work(now[0, 4:7], 0.0, 0.5)[2:]
        positions = torch.stack([position for position, _ in frames])
        closedness = torch.tensor([value for _, value in frames])
        after = known.positions, known.closedness
        return [way(2, torch.cat((positions, after[0])), torch.cat((closedness, after[1])))]


def test_fingers_that_have_shut_further_than_thought_do_not_open():
    world = TableWorld()
    world.tool, world.closedness, world.held = world.thing.clone(), 0.52, True
    step = Pursuit(
        source=ThinksItIsShutting(), world_model=world, driver=Straight(), goal=goal_picture()
    ).step(world.context())
    assert step.key_frame == 2
    world.act(step.action)
    assert world.held


def test_what_the_fingers_hold_is_not_let_go_because_it_looks_odd():
    class Nearsighted(KnowsTheWay):
        def disagreement(self, seen, imagined):
            return 2.0 if seen[0, 7] > 0.5 else super().disagreement(seen, imagined)

    world, heights = TableWorld(), []

    def watch(step: int, world: TableWorld) -> None:
        heights.append(float(world.thing[2]))

    pursue(world, watch, source=Nearsighted())
    assert_placed(world)
    lifts = sum(low <= LOW < high for low, high in itertools.pairwise(heights))
    assert lifts == 1


class GivesUp(Straight):
    """At the goal picture, at once."""

    def step(self, context):
        return None if self.aims[-1].last else super().step(context)


def test_a_driver_that_gives_up_at_the_end_has_not_thereby_reached_it():
    world = TableWorld()
    world.slippery = 9
    last = pursue(world, driver=GivesUp())[-1]
    assert last.end is TaskStatus.STALLED
    assert pursue(TableWorld(), driver=GivesUp())[-1].end is TaskStatus.REACHED


def test_a_way_without_key_frames_has_not_reached_what_it_does_not_agree_with():
    class SeesNoWay(KnowsTheWay):
        def propose(self, now, goal, state):
            return [way(0, torch.empty(0, 3), torch.empty(0))]

    assert pursue(TableWorld(), source=SeesNoWay())[-1].end is TaskStatus.STALLED


def test_a_way_stays_of_its_kind_though_the_source_prefers_another_at_times():
    """What a shorter way would have the hand do is not mixed into it."""

    class Wavers(KnowsTheWay):
        asked = 0

        def propose(self, now, goal, state):
            self.asked += 1
            [whole] = super().propose(now, goal, state)
            shorter = replace(
                whole,
                positions=whole.positions[:-4] + torch.tensor((0.0, 0.04, 0.0)),
                closedness=whole.closedness[:-4],
                confidence=0.1,
            )
            ways = [whole, shorter] if len(whole) > 4 else [whole]
            return ways[:: 1 if self.asked % 2 else -1]

    world, driver = TableWorld(), Straight()
    where = world.thing.clone()
    pursue(world, source=Wavers(), driver=driver)
    assert_placed(world)
    around = [aim.position for aim in driver.aims if aim.position[1] < 0]
    assert len(around) > 3
    assert all(torch.allclose(place[:2], where[:2], atol=1e-3) for place in around)


def test_what_is_in_the_way_is_not_pushed_at_for_long():
    class Blocked(TableWorld):
        def act(self, action):
            super().act(action)
            self.tool[2] = self.tool[2].clamp(min=LOW + 0.02)

    steps = pursue(Blocked(), max_steps=20)
    lowering = [step for step in steps if step.key_frame == 1]
    assert len(lowering) <= 5


def test_a_hand_that_stands_on_something_goes_back_to_look_again():
    """As fingers do on the rim of a cup that was read wrongly."""

    class Rim(TableWorld):
        def act(self, action):
            super().act(action)
            self.tool[2] = self.tool[2].clamp(min=LOW + 0.06)

    steps = pursue(Rim(), max_steps=20)
    assert sum("look again" in step.reason for step in steps) >= 2
    first = next(n for n, step in enumerate(steps) if "look again" in step.reason)
    assert sum(step.key_frame == 1 for step in steps[:first]) <= 4


def test_steps_are_limited():
    steps = pursue(TableWorld(), max_steps=5)
    assert [step.action is None for step in steps] == [False] * 5 + [True]
    assert steps[-1].reason == "max_steps, 5, are used up"


def test_a_goal_without_a_way_is_refused():
    class Ignorant(KnowsTheWay):
        def propose(self, now, goal, state):
            return []

    world = TableWorld()
    pursuit = Pursuit(source=Ignorant(), world_model=world, driver=Straight(), goal=goal_picture())
    step = pursuit.step(world.context())
    assert step.action is None
    assert step.reason == "no way to this goal is known"


def test_fingers_stay_where_no_key_frame_moves_them():
    aim = Aim(
        latents=goal_picture(),
        position=torch.zeros(3),
        closedness=0.5,
        fingers=0,
        last=False,
        key_frame=0,
    )
    state = torch.tensor((0.5, 0, 0.2, 0, 0, 0, 0.2))
    plan = torch.tensor((0.01, 0, 0, 0, 0, 0, -0.5)).repeat(2, 1)
    held = {
        fingers: hold_fingers(plan, replace(aim, fingers=fingers), state, 0.75)[:, 6].tolist()
        for fingers in (0, 1, -1, None)
    }
    assert held[0] == [0, 0]
    assert held[1] == [0.75, 0]  # with force
    assert held[-1] == pytest.approx([0.3, 0])  # as far as the key frame has them
    assert held[None] == [-0.5, -0.5]
