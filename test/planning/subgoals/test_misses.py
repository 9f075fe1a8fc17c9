"""A grasp that found nothing, and where the next one goes."""

import math
from dataclasses import replace

import pytest
import torch
from table_world import (
    LOW,
    ImaginedTable,
    KnowsTheWay,
    Straight,
    TableWorld,
    WhetherItIsLetGo,
    assert_placed,
    go,
    goal_picture,
    held_picture,
    pursue,
    way,
)

from vjepa_ros.conventions import GRIPPER, POSITION
from vjepa_ros.planning.config import PLANNERS
from vjepa_ros.planning.subgoals.misses import Miss
from vjepa_ros.planning.subgoals.way_planner import WayPlanner
from vjepa_ros.planning.task import Decision, TaskStatus

READ, CENTRE = torch.tensor((0.6, 0.2)), torch.zeros(2)


def state(x: float = 0.45, y: float = 0.0, yaw: float = 0.0) -> torch.Tensor:
    """A hand [7] that points down."""
    state = torch.tensor((0.0, 0.0, 0.1, math.pi, 0.0, yaw, 0.0))
    state[POSITION][:2] = torch.tensor((x, y))
    return state


def tries(stood: bool, times: int = 3, **hand: float) -> list[list[float]]:
    """Where beside its place a grasp is tried after so many misses."""
    beside, tried = CENTRE, []
    for _ in range(times):
        miss = Miss.of(READ, beside, state(**hand), state(), stood=stood)
        beside = miss.beside
        tried.append(beside.tolist())
    return tried


def test_a_hand_that_stood_on_something_goes_along_its_fingers_line():
    first, second, third = tries(stood=True)
    assert first == pytest.approx([0.0, 0.012], abs=1e-6)  # away from where it was first seen
    assert second == pytest.approx([0.0, -0.012], abs=1e-6)
    assert third == pytest.approx([0.0, 0.0], abs=1e-6)


def test_fingers_that_shut_on_nothing_go_across_it():
    first, second, third = tries(stood=False)
    assert first == pytest.approx([0.04, 0.0], abs=1e-6)
    assert second == pytest.approx([-0.04, 0.0], abs=1e-6)
    assert third == pytest.approx([0.0, 0.0], abs=1e-6)


@pytest.mark.parametrize("yaw", [0.3, -1.2, math.pi / 2])
def test_the_line_turns_with_the_hand(yaw: float):
    along, across = torch.tensor(tries(True, 1, yaw=yaw)[0]), torch.tensor(tries(False, 1, yaw=yaw))
    assert float(along.norm()) == pytest.approx(0.012, abs=1e-6)
    assert float(across.norm()) == pytest.approx(0.04, abs=1e-6)
    assert float(along @ across[0]) == pytest.approx(0.0, abs=1e-7)


def test_what_was_found_along_one_line_is_kept_along_the_other():
    beside = torch.tensor((0.04, 0.0))
    miss = Miss.of(READ, beside, state(), state(), stood=True)
    assert miss.beside.tolist() == pytest.approx([0.04, 0.012], abs=1e-6)


# --- on the way -------------------------------------------------------------------------


class ReadsOff(KnowsTheWay):
    """A source that has what is to be grasped elsewhere, each time that it sees it."""

    def __init__(self, off: tuple[float, float]) -> None:
        self.off = torch.tensor((*off, 0.0))

    def propose(self, now, goal, state):
        return [
            replace(one, positions=torch.cat((one.positions[:3] + self.off, one.positions[3:])))
            if one.phase == 0
            else one
            for one in super().propose(now, goal, state)
        ]


@pytest.mark.parametrize("off", [(0.04, 0.0), (-0.04, 0.0), (-0.035, 0.01)])
def test_what_is_misread_each_time_is_found_beside_where_it_is_read(off):
    world = TableWorld()
    pursue(world, source=ReadsOff(off))
    assert_placed(world)


class StandsOnTop(TableWorld):
    """A table whose thing a finger comes to stand on, where the hand is aside along its y axis."""

    def act(self, action):
        super().act(action)
        beside = (self.tool - self.thing)[:2].abs()
        if not self.held and beside[0] < 0.03 and 0.012 < beside[1] < 0.06:
            self.tool[2] = max(float(self.tool[2]), LOW + 0.02)


def test_fingers_that_shut_on_top_of_a_thing_go_along_their_line():
    """A hand that is too high where its fingers shut stands on what it was to take."""
    world = StandsOnTop()
    steps = pursue(world, source=ReadsOff((0.0, 0.018)))
    assert_placed(world)
    assert steps[-1].end is TaskStatus.REACHED


def test_what_was_moved_after_it_was_missed_is_not_looked_for_beside_its_place():
    """It is read rightly where it is now."""

    def snatch(step: int, world: TableWorld) -> None:
        if world.closedness > 0.4 and not hasattr(world, "snatched"):
            world.held, world.closedness, world.snatched = False, 1.0, True
            world.thing = torch.tensor((0.44, 0.02, LOW))

    driver, world = Straight(), TableWorld()
    pursue(world, snatch, driver=driver)
    assert_placed(world)
    grasps = [aim.position[:2].tolist() for aim in driver.aims if aim.fingers == 1]
    assert len(grasps) == 2
    assert grasps[1] == pytest.approx([0.44, 0.02], abs=1e-3)


class TakesShutFingersForHolding(KnowsTheWay):
    """As whoever has seen none that shut on nothing: what they hold is where they are."""

    def propose(self, now, goal, state):
        if state[GRIPPER] > 0.4:
            now = now.clone()
            now[0, 4:7], now[0, 7] = now[0, :3], 1.0
        return super().propose(now, goal, state)


def test_a_hand_that_goes_back_to_look_again_opens():
    """Shut on nothing it was taken for one that holds, each time anew."""
    world = TableWorld()
    world.closedness = 1.0
    last = pursue(world, source=TakesShutFingersForHolding())[-1]
    assert_placed(world)
    assert last.end is TaskStatus.REACHED


# --- at one of several pictures ----------------------------------------------------------


def servo(world: TableWorld, source: KnowsTheWay) -> WayPlanner:
    return WayPlanner(
        PLANNERS["plain"], ImaginedTable(), source=source, imagination=world, servo=True
    )


class ReadsOffWhatToLift(ReadsOff):
    """One that knows that the hand of a picture holds something."""

    def propose(self, now, goal, state):
        (known,) = super().propose(now, goal, state)
        if goal[0, 7] < 0.5:
            return [known]
        ahead = max(0, 4 - known.phase)
        return [way(4 - ahead, known.positions[:ahead], known.closedness[:ahead])]


def test_a_grasp_that_found_nothing_is_tried_again_before_the_next_picture():
    """The next picture would take fingers that shut on nothing for what holds."""
    world = TableWorld()
    lifted = held_picture((0.45, -0.20, 0.17))
    planner = servo(world, ReadsOffWhatToLift((0.04, 0.0)))
    decisions = go(planner, world, [lifted, goal_picture()])
    assert_placed(world)
    sent = [one for one in decisions if one.action is not None]
    again = [one for one in sent if "back to look again" in one.reason]
    assert again
    assert {one.goal for one in again} == {0}


def test_the_scene_is_looked_at_from_where_it_was_at_the_first_picture():
    world, seen_from = TableWorld(), []
    first = world.tool.clone()

    def drop(decision: Decision, world: TableWorld) -> None:
        if decision.goal == 1 and world.held and not seen_from:
            world.held, world.closedness = False, 1.0
            world.thing = torch.tensor((*world.thing[:2].tolist(), LOW))
        if decision.goal == 1 and "back to look again" in decision.reason:
            seen_from.append(world.tool.clone())

    lifted = held_picture((0.50, -0.10, 0.17))
    go(servo(world, WhetherItIsLetGo()), world, [lifted, goal_picture()], drop)
    assert_placed(world)
    assert float((seen_from[-1] - first).norm()) < 0.05
