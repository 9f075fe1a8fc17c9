"""The arm under crisp_controllers and franka_ros2, without ROS: what it does to who is careless."""

import numpy as np
import pytest

from vjepa_sim.fr3.arm import IDLE, JOINTS, MOVE, REFLEX, STATES, USER_STOPPED, Fr3Arm
from vjepa_sim.geometry import pointing_down
from vjepa_sim.scene import Scene, SceneConfig

IMPEDANCE, FREE = "cartesian_impedance_controller", "gravity_compensation"
DOWN = pointing_down()


@pytest.fixture
def scene():
    with Scene(SceneConfig(physics_rate=250)) as scene:
        scene.reset(0)
        yield scene


@pytest.fixture
def arm(scene):
    arm = Fr3Arm(reflex_force=60.0, active={JOINTS, STATES, IMPEDANCE})
    arm.take_over(scene)
    return arm


def travelled(arm: Fr3Arm, start: np.ndarray) -> float:
    return float(np.linalg.norm(arm.body.position - start))


def test_it_holds_its_pose_and_feels_nothing(scene, arm):
    start = arm.body.position
    scene.step(2.0)
    assert travelled(arm, start) < 1e-4
    assert np.abs(arm.body.felt).max() < 0.1
    assert arm.mode == MOVE


def test_it_reaches_a_target(scene, arm):
    target = arm.body.position + np.array((0.05, -0.05, 0.03))
    arm.take_target(target, DOWN)
    scene.step(3.0)
    np.testing.assert_allclose(arm.body.position, target, atol=1e-3)


def test_no_speed_limit_but_its_own(scene, arm):
    """A far target is run to: who commands must stream targets that are near."""
    arm.take_target(arm.body.position + np.array((0.0, 0.4, 0.0)), DOWN)
    scene.step(0.3)
    assert np.linalg.norm(arm.body.twist[:3]) > 0.5


def test_weightless_it_is_led_by_hand_in_mode_move(scene, arm):
    assert not arm.switch([FREE], [IMPEDANCE], strict=True)
    start = arm.body.position
    arm.body.push = np.array((0.0, 10.0, 0.0))
    scene.step(1.5)
    arm.body.push = np.zeros(3)
    assert travelled(arm, start) > 0.2
    assert arm.mode == MOVE
    scene.step(1.0)
    led = arm.body.position
    scene.step(1.0)
    assert travelled(arm, led) < 0.01  # and stays there


def test_a_target_that_came_while_inactive_pulls_at_activation(scene, arm):
    stale = arm.body.position
    arm.switch([FREE], [IMPEDANCE], strict=True)
    arm.take_target(stale, DOWN)  # as a gate that goes on streaming
    arm.body.push = np.array((0.0, 10.0, 0.0))
    scene.step(1.5)
    arm.body.push = np.zeros(3)
    led = travelled(arm, stale)
    assert led > 0.2
    arm.switch([IMPEDANCE], [FREE], strict=True)
    scene.step(3.0)
    assert travelled(arm, stale) < 0.01


def test_a_target_that_was_followed_does_not(scene, arm):
    arm.take_target(arm.body.position, DOWN)
    scene.step(0.1)
    arm.switch([FREE], [IMPEDANCE], strict=True)
    arm.body.push = np.array((0.0, 10.0, 0.0))
    scene.step(1.5)
    arm.body.push = np.zeros(3)
    scene.step(1.0)
    led = arm.body.position
    arm.switch([IMPEDANCE], [FREE], strict=True)
    scene.step(2.0)
    assert travelled(arm, led) < 0.02


def test_a_target_is_kept_for_ever(scene, arm):
    target = arm.body.position + np.array((0.0, 0.05, 0.0))
    arm.take_target(target, DOWN)
    scene.step(10.0)
    np.testing.assert_allclose(arm.body.position, target, atol=1e-3)


def test_a_blocked_arm_pushes_with_its_stiffness(scene, arm):
    x, y, _ = arm.body.position
    for height in np.linspace(0.3, 0.02, 30):
        arm.take_target(np.array((x, y, height)), DOWN)
        scene.step(0.1)
    for depth, newtons in ((-0.03, 12.0), (-0.06, 24.0), (-0.5, 40.0)):
        arm.take_target(np.array((x, y, depth)), DOWN)
        scene.step(2.0)
        height = arm.body.position[2]
        expected = 400.0 * min(height - depth, 0.1)
        assert arm.body.felt[2] == pytest.approx(expected, rel=0.1)
        assert arm.body.felt[2] > newtons - 5


def test_a_held_object_is_felt_by_its_weight(scene, arm):
    """And pulls the tool down by weight over stiffness: nobody told the arm of its load."""
    from vjepa_sim.expert import grasp_path, perform

    scene.reset(0)
    perform(scene, grasp_path(scene.truth()["cube"]))
    arm.take_over(scene)
    start = arm.body.position
    scene.step(2.0)
    mass = scene.bullet.getDynamicsInfo(scene._objects["cube"][0], -1)[0]
    assert arm.body.felt[2] == pytest.approx(-9.81 * mass, rel=0.15)
    sag = start[2] - arm.body.position[2]
    assert sag == pytest.approx(9.81 * mass / 400.0, rel=0.3)


def test_too_much_force_is_a_reflex_and_takes_everything_down(scene, arm):
    arm.reflex_force = 20.0
    arm.body.push = np.array((30.0, 0.0, 0.0))
    scene.step(0.5)
    assert arm.mode == REFLEX
    assert arm.active == set()
    assert not arm.hardware
    assert "cartesian_reflex" in arm.said[0]
    arm.body.push = np.zeros(3)
    scene.step(0.5)
    stopped = arm.body.position
    scene.step(1.0)
    assert travelled(arm, stopped) < 1e-3


def test_recovery_has_an_order(scene, arm):
    arm.trip("for the test")
    assert "not active" in arm.switch([IMPEDANCE], [], strict=True)
    assert not arm.set_hardware(True)
    assert not arm.recover()
    assert "not active" in arm.switch([IMPEDANCE], [], strict=True)
    assert arm.set_hardware(True)
    assert arm.mode == IDLE
    assert not arm.switch([STATES, JOINTS, IMPEDANCE], [], strict=True)
    assert arm.mode == MOVE


def test_the_user_stop(scene, arm):
    arm.stop(True)
    assert arm.mode == USER_STOPPED
    assert arm.active == set()
    assert arm.recover() == "the user stop is pressed"
    arm.stop(False)
    assert not arm.recover()
    assert arm.set_hardware(True)


def test_while_nothing_moves_it_errors_take_nothing_down(arm):
    arm.switch([], [IMPEDANCE], strict=True)
    arm.trip("for the test")
    assert (arm.mode, arm.hardware, STATES in arm.active) == (REFLEX, True, True)
    arm.stop(True)
    assert arm.mode == USER_STOPPED
    assert arm.switch([IMPEDANCE], [], strict=True) == "the user stop is pressed"
    arm.stop(False)
    assert not arm.switch([IMPEDANCE], [], strict=True)
    assert arm.mode == MOVE  # activation recovers from a reflex by itself


def test_a_command_that_is_no_number_takes_the_hardware_down(scene, arm):
    arm.take_target(np.array((np.nan, 0.0, 0.3)), DOWN)
    scene.step(0.1)
    assert not arm.hardware
    assert "not finite" in arm.said[0]


@pytest.mark.parametrize(
    ("on", "off", "why"),
    [
        ([FREE], [], "two controllers want the same joints"),
        ([IMPEDANCE], [], "is active"),
        ([], [FREE], "is not active"),
        (["joint_impedance_controller"], [], "no controller"),
    ],
)
def test_a_switch_that_cannot_be(arm, on, off, why):
    before = set(arm.active)
    assert why in arm.switch(on, off, strict=True)
    assert arm.active == before


def test_without_a_controller_the_brakes_hold(scene, arm):
    arm.switch([], [IMPEDANCE], strict=True)
    start = arm.body.position
    arm.body.push = np.array((20.0, 0.0, 0.0))
    scene.step(1.0)
    assert arm.mode == IDLE
    assert travelled(arm, start) < 5e-3


def test_it_knows_when_it_is_near_itself(scene, arm):
    assert not arm.body.near_itself()
    folded = np.array((0.0, -1.2, 0.0, -3.0, 0.0, 1.0, 0.8))
    for joint, angle in enumerate(folded):
        scene.bullet.resetJointState(scene.robot.body, joint, angle)
    assert arm.body.near_itself()
