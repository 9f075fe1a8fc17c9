"""Robot fr3 is as nasty over DDS as the real one: hand, controllers, errors, poses, clocks."""

import dataclasses
import math
import time

import numpy as np
import pytest
from controller_manager_msgs.srv import (
    ListControllers,
    ListHardwareComponents,
    SetHardwareComponentState,
    SwitchController,
)
from franka_msgs.action import ErrorRecovery, Grasp, Homing, Move
from franka_msgs.msg import FrankaRobotState, GraspEpsilon
from geometry_msgs.msg import PoseStamped, Vector3, Wrench
from lifecycle_msgs.msg import State
from std_srvs.srv import Trigger

from vjepa_sim.faults import Faults

STATES = "franka_robot_state_broadcaster"
STATE, POSE = f"{STATES}/robot_state", f"{STATES}/current_pose"
FINGERS = "franka_gripper/joint_states"
HAND = "franka_gripper"
IMPEDANCE, FREE = "cartesian_impedance_controller", "gravity_compensation"
SUCCEEDED, CANCELED, ABORTED = 4, 5, 6  # action_msgs/GoalStatus
WIDE = GraspEpsilon(inner=0.08, outer=0.08)
HEALTHY = {f"fault__{field.name}": field.default for field in dataclasses.fields(Faults)}


@pytest.fixture(scope="module")
def twin(start_robot):
    return start_robot(robot="fr3", mode="lockstep", hand_homed=True)


@pytest.fixture(scope="module")
def twin_lab(twin, new_lab):
    with new_lab(twin) as lab:
        yield lab


@pytest.fixture
def lab(twin_lab):
    """At the start of a scene, with the impedance controller active."""
    assert twin_lab.reset(seed=0, task="grasp", object="cube").success
    yield twin_lab
    assert all(result.successful for result in twin_lab.set(**HEALTHY))
    push(twin_lab, 0.0)
    twin_lab.call(Trigger, f"{HAND}/stop")
    recover(twin_lab)
    set_hardware(twin_lab)
    switch(twin_lab, [], [FREE], SwitchController.Request.BEST_EFFORT)
    everything = ["joint_state_broadcaster", STATES, IMPEDANCE]
    assert switch(twin_lab, everything, [], SwitchController.Request.BEST_EFFORT).ok


def switch(lab, on, off, strictness=SwitchController.Request.STRICT):
    return lab.call(
        SwitchController,
        "controller_manager/switch_controller",
        activate_controllers=on,
        deactivate_controllers=off,
        strictness=strictness,
    )


def set_hardware(lab):
    return lab.call(
        SetHardwareComponentState,
        "controller_manager/set_hardware_component_state",
        name="FrankaHardwareInterface",
        target_state=State(label="active"),
    )


def recover(lab):
    handle = lab.send_goal(ErrorRecovery, "action_server/error_recovery")
    return lab.ask(handle.get_result_async).status


def push(lab, newtons_y: float) -> None:
    lab.publisher(Wrench, "sim/push").publish(Wrench(force=Vector3(y=newtons_y)))
    time.sleep(0.3)


def mode(lab) -> int:
    return lab.hear(STATE, FrankaRobotState)[-1].robot_mode


def position(lab) -> np.ndarray:
    at = lab.hear(POSE)[-1].pose.position
    return np.array((at.x, at.y, at.z))


def truth(lab):
    return lab.hear("sim/truth", None, 0.2)[-1].objects[0]


def go(lab, goal, seconds: float = 1.0, **target: object) -> None:
    """Stream targets to a goal, as a gate does."""
    start = position(lab)
    for share in np.linspace(0.1, 1.0, 10):
        stamp = lab.send_target(start + share * (np.array(goal) - start), **target)
        assert lab.step(seconds / 10, after_target=stamp).success
    lab.step(0.5)


def surround(lab):
    """Bring the open fingers around the cube; returns where the tool is, and turned how."""
    cube = truth(lab).pose
    at, turn = cube.position, cube.orientation
    yaw = 2 * math.atan2(turn.z, turn.w)
    down = (math.cos(yaw / 2), math.sin(yaw / 2), 0.0, 0.0)
    go(lab, (at.x, at.y, 0.2), 2.0, quaternion=down)
    go(lab, (at.x, at.y, at.z), 2.0, quaternion=down)
    return np.array((at.x, at.y, at.z)), down


def result_of(lab, handle):
    return lab.ask(handle.get_result_async)


def test_a_client_that_squeezes_loses_the_object(lab):
    """What the arm gate did: the width of the object less 16 mm, through gripper_action."""
    spot, down = surround(lab)
    width = 0.04  # the cube's, about: what the planner has seen
    handle = lab.grip((width - 0.016) / 2, max_effort=20.0)
    lab.step(1.5)
    ended = result_of(lab, handle)
    assert ended.status == ABORTED
    assert not ended.result.reached_goal
    go(lab, spot + np.array((0, 0, 0.15)), quaternion=down)
    cube = truth(lab)
    assert list(cube.touches) == ["table"]


def test_a_client_with_a_wide_epsilon_holds_it(lab):
    spot, down = surround(lab)
    handle = lab.send_goal(Grasp, f"{HAND}/grasp", width=0.0, speed=0.1, force=40.0, epsilon=WIDE)
    lab.step(1.5)
    ended = result_of(lab, handle)
    assert (ended.status, ended.result.success) == (SUCCEEDED, True)
    go(lab, spot + np.array((0, 0, 0.15)), quaternion=down)
    cube = truth(lab)
    assert "fingers" in cube.touches
    assert cube.pose.position.z > 0.12


def test_a_second_grasp_hangs_until_stop(lab):
    surround(lab)
    grasp = {"width": 0.0, "speed": 0.1, "force": 40.0, "epsilon": WIDE}
    first = lab.send_goal(Grasp, f"{HAND}/grasp", **grasp)
    lab.step(1.5)
    assert result_of(lab, first).status == SUCCEEDED
    second = lab.send_goal(Grasp, f"{HAND}/grasp", **grasp)
    ending = lab.send(second.get_result_async)
    lab.step(5.0)
    time.sleep(0.5)
    assert not ending.done()
    assert lab.call(Trigger, f"{HAND}/stop").success
    ended = lab.wait(ending)
    assert (ended.status, ended.result.success) == (ABORTED, False)
    assert "aborted" in ended.result.error
    opened = lab.send_goal(Move, f"{HAND}/move", width=0.08, speed=0.1)
    lab.step(1.5)
    assert result_of(lab, opened).result.success


def test_cancelling_a_grasp_stops_the_hand(lab):
    handle = lab.send_goal(Grasp, f"{HAND}/grasp", width=0.0, speed=0.05, force=40.0, epsilon=WIDE)
    lab.step(0.5)
    lab.ask(handle.cancel_goal_async)
    assert result_of(lab, handle).status == CANCELED
    assert 0.005 < lab.hear(FINGERS, None, 1.0)[-1].position[0] < 0.035


def test_gripper_action_takes_one_finger_and_tells_both(lab):
    seen = []
    handle = lab.grip(0.02, on_feedback=lambda m: seen.append(m.feedback.position))
    lab.step(1.5)
    ended = result_of(lab, handle)
    assert ended.status == SUCCEEDED
    assert ended.result.position == pytest.approx(0.04, abs=3e-3)
    assert seen[-1] == pytest.approx(0.04, abs=3e-3)


def test_gripper_action_aborts_what_is_out_of_range(lab):
    assert result_of(lab, lab.grip(0.05)).status == ABORTED


def test_an_unhomed_hand_aborts_openings_until_it_is_homed(start_robot, new_lab):
    robot = start_robot(robot="fr3", mode="lockstep")
    with new_lab(robot) as lab:
        assert result_of(lab, lab.grip(0.03)).status == ABORTED
        assert "max_width = 0.000000" in robot.said()
        move = lab.send_goal(Move, f"{HAND}/move", width=0.05, speed=0.1)
        assert not result_of(lab, move).result.success
        homing = lab.send_goal(Homing, f"{HAND}/homing")
        lab.step(5.0)
        assert result_of(lab, homing).result.success
        move = lab.send_goal(Move, f"{HAND}/move", width=0.05, speed=0.1)
        lab.step(1.5)
        assert result_of(lab, move).result.success
    assert robot.end() == 0


def test_led_by_hand_the_mode_says_move(lab):
    assert switch(lab, [FREE], [IMPEDANCE]).ok
    before = position(lab)
    stale = lab.send_target(before)
    push(lab, 10.0)
    assert lab.step(1.5, after_target=stale).success
    push(lab, 0.0)
    assert mode(lab) == FrankaRobotState.ROBOT_MODE_MOVE
    led = np.linalg.norm(position(lab) - before)
    assert led > 0.2
    assert switch(lab, [IMPEDANCE], [FREE]).ok  # the target that came meanwhile pulls
    lab.step(3.0)
    assert np.linalg.norm(position(lab) - before) < 0.02


def test_the_external_wrench_is_told(lab):
    switch(lab, [], [IMPEDANCE])
    push(lab, 8.0)
    state = lab.hear(STATE, FrankaRobotState, 0.5)[-1]
    assert state.o_f_ext_hat_k.wrench.force.y == pytest.approx(8.0, abs=0.5)
    in_hand = state.k_f_ext_hat_k.wrench.force
    assert math.hypot(in_hand.x, in_hand.y, in_hand.z) == pytest.approx(8.0, abs=0.5)
    assert state.robot_mode == FrankaRobotState.ROBOT_MODE_IDLE


def test_a_blocked_arm_pushes_and_says_so(lab):
    x, y, _ = position(lab)
    go(lab, (x, y, 0.02), 3.0)
    stamp = lab.send_target((x, y, -0.4))
    lab.step(1.5, after_target=stamp)
    state = lab.hear(STATE, FrankaRobotState)[-1]
    assert state.o_f_ext_hat_k.wrench.force.z == pytest.approx(40.0, rel=0.1)
    assert state.collision_indicators.is_cartesian_linear_contact.z == 1.0
    assert state.collision_indicators.is_cartesian_linear_collision.z == 0.0


def controllers(lab) -> dict[str, str]:
    answer = lab.call(ListControllers, "controller_manager/list_controllers")
    return {controller.name: controller.state for controller in answer.controller}


def test_a_reflex_silences_the_arm_until_it_is_brought_back_in_order(lab, twin):
    lab.set(fault__arm_reflex=True)
    assert lab.silent(STATE, FrankaRobotState)  # not even the mode
    joints = lab.hear("joint_states", None, 0.5)
    assert len(joints) == pytest.approx(15, abs=1)  # joint_state_publisher repeats what it knows
    arm = {tuple(message.position[message.name.index("fr3_joint1") :]) for message in joints}
    assert len(arm) == 1
    assert "cartesian_reflex" in twin.said()
    assert set(controllers(lab).values()) == {"inactive"}
    (hardware,) = lab.call(
        ListHardwareComponents, "controller_manager/list_hardware_components"
    ).component
    assert hardware.state.label == "unconfigured"

    lab.set(fault__arm_reflex=False)
    assert not switch(lab, [IMPEDANCE], []).ok
    assert not set_hardware(lab).ok
    assert recover(lab) == SUCCEEDED
    assert not switch(lab, [IMPEDANCE], []).ok
    assert set_hardware(lab).ok
    assert switch(lab, [STATES, "joint_state_broadcaster"], []).ok
    assert mode(lab) == FrankaRobotState.ROBOT_MODE_IDLE
    assert switch(lab, [IMPEDANCE], []).ok
    assert mode(lab) == FrankaRobotState.ROBOT_MODE_MOVE


def test_too_much_force_is_a_reflex(lab, twin):
    push(lab, 80.0)
    lab.step(0.5)
    push(lab, 0.0)
    assert "60 N allowed" in twin.said()
    assert controllers(lab)[STATES] == "inactive"


def test_the_user_stop_is_seen_only_while_nothing_moves_the_arm(lab):
    switch(lab, [], [IMPEDANCE])
    lab.set(fault__user_stop=True)
    assert mode(lab) == FrankaRobotState.ROBOT_MODE_USER_STOPPED
    assert recover(lab) == ABORTED
    lab.set(fault__user_stop=False)
    assert switch(lab, [IMPEDANCE], []).ok
    lab.set(fault__user_stop=True)
    assert lab.silent(STATE, FrankaRobotState)


def test_controllers_that_want_the_same_joints(lab):
    answer = switch(lab, [FREE], [])
    assert not answer.ok
    assert "same joints" in answer.message
    assert controllers(lab)[IMPEDANCE] == "active"


def test_two_publishers_of_targets_are_ignored(lab, twin):
    second = lab.node.create_publisher(PoseStamped, "target_pose", 1)
    lab.until(lambda: second.get_subscription_count() == 1)
    time.sleep(1.0)
    before = position(lab)
    go(lab, before + np.array((0, 0.1, 0)))
    assert np.linalg.norm(position(lab) - before) < 1e-3
    assert "2 publishers, expected one" in twin.said()
    lab.node.destroy_publisher(second)
    lab.until(lambda: lab.node.count_publishers("target_pose") == 1)


def test_the_frame_of_a_target_is_not_looked_at(lab):
    before = position(lab)
    go(lab, before + np.array((0, 0.05, 0)), frame="camera_optical_frame")
    assert position(lab)[1] - before[1] == pytest.approx(0.05, abs=3e-3)


def test_a_target_that_is_no_number_takes_the_hardware_down(lab, twin):
    stamp = lab.send_target((math.nan, 0.0, 0.3))
    lab.step(0.1, after_target=stamp)
    assert "a command is not finite" in twin.said()
    assert set(controllers(lab).values()) == {"inactive"}


def test_crisps_pose_broadcaster(lab):
    assert switch(lab, ["pose_broadcaster"], []).ok
    poses = lab.hear("current_pose", PoseStamped, 0.2)
    assert len(poses) == 200
    last = poses[-1]
    assert last.header.frame_id == "base"
    assert last.pose.position.z == pytest.approx(position(lab)[2], abs=1e-3)
    assert switch(lab, [], ["pose_broadcaster"]).ok


def test_a_glitch_of_the_measured_pose(lab):
    before = position(lab)
    lab.set(fault__pose_offset=1.0)
    np.testing.assert_allclose(position(lab) - before, (1.0, 0, 0), atol=1e-3)
    lab.set(fault__pose_offset=0.0)
    np.testing.assert_allclose(position(lab), before, atol=1e-3)


def test_a_measured_pose_that_is_frozen_has_new_stamps(lab):
    lab.set(fault__pose_freeze=True)
    before = position(lab)
    poses = lab.inbox(POSE)
    go(lab, before + np.array((0, 0.1, 0)))
    told = poses.all()
    assert {(m.pose.position.x, m.pose.position.y) for m in told} == {tuple(before[:2])}
    assert len({m.header.stamp.nanosec for m in told}) > 500
    lab.set(fault__pose_freeze=False)
    assert position(lab)[1] - before[1] > 0.09


@pytest.mark.parametrize("offset", [2.9, -0.5])
def test_a_clock_that_jumps(lab, offset):
    def stamp() -> float:
        poses = lab.inbox(POSE)
        lab.step(0.02)
        poses.wait()
        header = poses.all()[-1].header
        return header.stamp.sec + 1e-9 * header.stamp.nanosec

    before = stamp()
    lab.set(fault__clock_offset=offset)
    assert stamp() - before == pytest.approx(offset, abs=0.1)
