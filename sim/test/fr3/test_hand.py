"""The hand as libfranka's users have met it, without ROS."""

import numpy as np
import pytest

from vjepa_sim.expert import grasp_path, perform
from vjepa_sim.fr3.hand import ABORTED, FAILED, Command, Hand
from vjepa_sim.robot import MAX_WIDTH
from vjepa_sim.scene import Scene, SceneConfig

WIDE = MAX_WIDTH  # an epsilon that nothing is outside of


class Palm:
    """A hand in a scene, and what became of its commands."""

    def __init__(self, scene: Scene, *, homed: bool = True) -> None:
        self.scene = scene
        self.hand = Hand(homed=homed)
        self.hand.take_over(scene.robot)

    def give(self, kind: str, **fields: float) -> list:
        """Start a command; the list holds success and error when it has ended."""
        ends: list = []
        self.hand.start(Command(kind=kind, ended=lambda *end: ends.append(end), **fields))
        return ends

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.01)):
            self.scene.step(0.01)
            self.hand.update(self.scene.robot.width, self.scene.time)

    def do(self, kind: str, seconds: float = 4.0, **fields: float) -> list:
        ends = self.give(kind, **fields)
        self.wait(seconds)
        return ends

    @property
    def held(self) -> bool:
        return "fingers" in self.scene.truth()["cube"].touches


@pytest.fixture
def scene():
    with Scene(SceneConfig(physics_rate=250)) as scene:
        yield scene


@pytest.fixture
def around(scene):
    """Open fingers around a cube on the table, and a hand that is homed."""
    scene.reset(0)
    perform(scene, grasp_path(scene.truth()["cube"])[:2])
    return Palm(scene)


@pytest.fixture
def free(scene):
    """Open fingers in the air."""
    scene.reset(0)
    return Palm(scene)


def cube_width(scene: Scene) -> float:
    return scene.truth()["cube"].body.grip_width


def lift(palm: Palm) -> float:
    """Metres that the cube has risen after the tool has."""
    before = palm.scene.truth()["cube"].position[2]
    state = palm.scene.state()
    for rise in np.linspace(0.01, 0.12, 12):
        palm.scene.set_target(state.position + np.array((0, 0, rise)), state.quaternion_xyzw)
        palm.wait(0.2)
    return palm.scene.truth()["cube"].position[2] - before


def test_unhomed_it_does_not_open(scene):
    scene.reset(0)
    palm = Palm(scene, homed=False)
    assert palm.do("move", width=0.08, seconds=0.1) == [(False, FAILED)]
    assert palm.hand.max_width == 0.0
    assert palm.do("homing", seconds=6.0) == [(True, "")]
    assert palm.hand.max_width == MAX_WIDTH
    assert palm.do("move", width=0.05) == [(True, "")]
    assert palm.hand.width == pytest.approx(0.05, abs=1e-3)


def test_homing_with_something_between_the_fingers_fails(around):
    assert around.do("homing", seconds=6.0) == [(False, "")]


@pytest.mark.parametrize("squeeze", [0.008, 0.016, 0.03])
def test_a_squeeze_beyond_epsilon_loses_the_object(around, squeeze):
    """What a client does that asks for less than the object's width, to press on it."""
    width = cube_width(around.scene) - squeeze
    assert around.do("grasp", width=width, force=40.0) == [(False, "")]
    assert lift(around) < 0.02
    assert not around.held


def test_a_grasp_with_a_wide_epsilon_holds(around):
    ends = around.do("grasp", width=0.0, force=40.0, inner=WIDE, outer=WIDE)
    assert ends == [(True, "")]
    assert lift(around) > 0.1
    assert around.held


@pytest.mark.parametrize("off", [-0.004, 0.0, 0.004])
def test_a_grasp_that_knows_the_width_holds(around, off):
    ends = around.do("grasp", width=cube_width(around.scene) + off, force=40.0)
    assert ends == [(True, "")]
    if off <= 0:  # a wider one stops before it touches
        assert lift(around) > 0.1


def test_a_second_grasp_hangs_until_stop_and_stop_lets_go(around):
    around.do("grasp", width=0.0, force=40.0, inner=WIDE, outer=WIDE)
    second = around.do("grasp", width=0.0, force=40.0, inner=WIDE, outer=WIDE, seconds=8.0)
    behind = around.do("move", width=0.08, seconds=2.0)
    assert second == behind == []
    assert around.held
    around.hand.stop()
    assert second == behind == [(False, ABORTED)]
    assert lift(around) < 0.02
    assert around.do("move", width=0.08) == [(True, "")]


def test_a_held_object_is_released_by_a_move(around):
    around.do("grasp", width=0.0, force=40.0, inner=WIDE, outer=WIDE)
    assert around.do("move", width=0.08) == [(True, "")]
    assert not around.held


def test_a_blocked_move_hangs_until_stop(around):
    ends = around.do("move", width=0.0, seconds=8.0)
    assert ends == []
    around.hand.stop()
    assert ends == [(False, ABORTED)]


def test_a_grasp_of_nothing(free):
    assert free.do("grasp", width=0.03) == [(True, "")]
    assert free.do("grasp", width=0.0) == [(True, "")]  # nothing is held: no second grasp


def test_a_new_command_takes_over(free):
    first = free.give("move", width=0.0)
    free.wait(0.1)
    assert free.do("move", width=0.07) == [(True, "")]
    assert first == [(False, ABORTED)]


@pytest.mark.parametrize("width", [-0.01, 0.09, float("nan")])
def test_a_move_out_of_range_fails(free, width):
    assert free.do("move", width=width, seconds=0.1) == [(False, FAILED)]
