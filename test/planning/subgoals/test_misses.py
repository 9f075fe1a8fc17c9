"""A grasp that found nothing, and where the next one goes."""

import math
from dataclasses import replace

import pytest
import torch
from table_world import LOW, KnowsTheWay, Straight, TableWorld, assert_placed, pursue

from vjepa_ros.conventions import POSITION
from vjepa_ros.planning.subgoals.misses import Miss

PLACE, CENTRE = torch.tensor((0.6, 0.2)), torch.zeros(2)


def state(x: float = 0.45, y: float = 0.0, yaw: float = 0.0) -> torch.Tensor:
    """A hand [7] that points down."""
    state = torch.tensor((0.0, 0.0, 0.1, math.pi, 0.0, yaw, 0.0))
    state[POSITION][:2] = torch.tensor((x, y))
    return state


def tries(stood: bool, times: int = 3, **hand: float) -> list[list[float]]:
    """Where beside its place a grasp is tried after so many misses."""
    beside, tried = CENTRE, []
    for _ in range(times):
        miss = Miss.of(PLACE, beside, state(**hand), state(), stood=stood)
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
    miss = Miss.of(PLACE, beside, state(), state(), stood=True)
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
