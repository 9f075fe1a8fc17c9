"""Robot fr3 on the graph: the names, frames, types, QoS and rates of franka_ros2 and crisp."""

import math

import numpy as np
import pytest
from franka_msgs.msg import FrankaRobotState
from geometry_msgs.msg import PoseStamped, WrenchStamped
from rclpy.action import get_action_names_and_types
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

STATES = "franka_robot_state_broadcaster"
STATE, POSE = f"{STATES}/robot_state", f"{STATES}/current_pose"
FINGERS = "franka_gripper/joint_states"
BEST_EFFORT, RELIABLE = ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE
LATCHED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.fixture(scope="module")
def twin(start_robot):
    return start_robot(robot="fr3", mode="lockstep", hand_homed=True)


@pytest.fixture(scope="module")
def twin_lab(twin, new_lab):
    with new_lab(twin) as lab:
        yield lab


@pytest.fixture
def lab(twin_lab):
    assert twin_lab.reset(seed=0, task="grasp", object="cube").success
    return twin_lab


@pytest.mark.parametrize(
    ("topic", "kind", "reliability"),
    [
        (STATE, "franka_msgs/msg/FrankaRobotState", RELIABLE),
        (POSE, "geometry_msgs/msg/PoseStamped", BEST_EFFORT),
        (f"{STATES}/last_desired_pose", "geometry_msgs/msg/PoseStamped", BEST_EFFORT),
        (f"{STATES}/desired_end_effector_twist", "geometry_msgs/msg/TwistStamped", BEST_EFFORT),
        (f"{STATES}/measured_joint_states", "sensor_msgs/msg/JointState", BEST_EFFORT),
        (f"{STATES}/external_wrench_in_base_frame", "geometry_msgs/msg/WrenchStamped", BEST_EFFORT),
        (f"{STATES}/external_joint_torques", "sensor_msgs/msg/JointState", BEST_EFFORT),
        (f"{STATES}/desired_joint_states", "sensor_msgs/msg/JointState", BEST_EFFORT),
        ("current_pose", "geometry_msgs/msg/PoseStamped", RELIABLE),  # crisp's pose_broadcaster
        ("franka/joint_states", "sensor_msgs/msg/JointState", RELIABLE),
        (FINGERS, "sensor_msgs/msg/JointState", RELIABLE),
        ("joint_states", "sensor_msgs/msg/JointState", RELIABLE),
        ("collision_detected", "std_msgs/msg/Bool", BEST_EFFORT),
        ("robot_description", "std_msgs/msg/String", RELIABLE),
        ("tf", "tf2_msgs/msg/TFMessage", RELIABLE),
        ("tf_static", "tf2_msgs/msg/TFMessage", RELIABLE),
        ("camera/camera/color/image_raw", "sensor_msgs/msg/Image", BEST_EFFORT),
    ],
)
def test_offers(lab, topic, kind, reliability):
    offered = lab.node.get_publishers_info_by_topic(topic)[0]
    assert offered.topic_type == kind
    assert offered.qos_profile.reliability == reliability


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("franka_gripper/gripper_action", "control_msgs/action/GripperCommand"),
        ("franka_gripper/grasp", "franka_msgs/action/Grasp"),
        ("franka_gripper/move", "franka_msgs/action/Move"),
        ("franka_gripper/homing", "franka_msgs/action/Homing"),
        ("action_server/error_recovery", "franka_msgs/action/ErrorRecovery"),
    ],
)
def test_takes_goals(lab, name, kind):
    actions = dict(get_action_names_and_types(lab.node))
    assert actions[f"{lab.node.get_namespace()}/{name}"] == [kind]


def test_what_only_the_kind_robot_has_is_not_there(lab):
    services = {name for name, _ in lab.node.get_service_names_and_types()}
    assert f"{lab.node.get_namespace()}/error_recovery" not in services
    assert f"{lab.node.get_namespace()}/franka_gripper/stop" in services
    (subscribed,) = lab.node.get_subscriptions_info_by_topic("target_pose")
    assert subscribed.qos_profile.reliability == RELIABLE


@pytest.mark.parametrize(
    ("topic", "kind", "per_second"),
    [
        (STATE, FrankaRobotState, 1000),
        (POSE, PoseStamped, 1000),
        (FINGERS, None, 15),
        ("joint_states", None, 30),
        ("tf", TFMessage, 15),
    ],
)
def test_rates_in_simulated_time(lab, topic, kind, per_second):
    stamps = lab.hear(topic, kind, 0.6).stamps
    assert len(stamps) == pytest.approx(0.6 * per_second, abs=1)
    assert np.abs(np.diff(stamps) - 1e9 / per_second).max() <= 1e6


def test_frames_are_rooted_in_base(lab):
    pose = lab.hear(POSE)[-1]
    state = lab.hear(STATE, FrankaRobotState)[-1]
    assert pose.header.frame_id == state.o_t_ee.header.frame_id == "base"
    assert state.o_t_ee.pose.position.z == pytest.approx(pose.pose.position.z, abs=1e-4)
    assert state.o_f_ext_hat_k.header.frame_id == "base"
    assert state.k_f_ext_hat_k.header.frame_id == "fr3_hand_tcp"
    assert state.measured_joint_state.name == [f"fr3_joint{number}" for number in range(1, 8)]


def test_the_whole_state(lab):
    state = lab.hear(STATE, FrankaRobotState)[-1]
    assert state.robot_mode == FrankaRobotState.ROBOT_MODE_MOVE
    assert state.control_command_success_rate == 1.0
    assert not state.current_errors.cartesian_reflex
    assert np.abs(state.measured_joint_state.velocity).max() < 0.01
    assert np.abs(state.measured_joint_state.effort).max() > 1  # Nm that hold its own weight
    assert state.inertia_ee.inertia.m == pytest.approx(0.73)
    wrench = state.o_f_ext_hat_k.wrench.force
    assert math.hypot(wrench.x, wrench.y, wrench.z) < 1


def test_joint_states_are_the_arm_and_the_fingers(lab):
    joint, finger = (lab.hear(topic, None, 0.3)[-1] for topic in ("joint_states", FINGERS))
    assert finger.name == ["fr3_finger_joint1", "fr3_finger_joint2"]
    assert list(finger.position) == pytest.approx([0.04, 0.04], abs=1e-3)
    assert set(joint.name) == {*finger.name, *(f"fr3_joint{number}" for number in range(1, 8))}
    assert len(joint.position) == 9


def test_the_robot_description_is_there_for_who_comes_late(lab):
    descriptions = []
    lab.node.create_subscription(String, "robot_description", descriptions.append, LATCHED)
    lab.until(lambda: descriptions)
    assert 'link name="base"' in descriptions[0].data
    assert 'link name="fr3_hand_tcp"' in descriptions[0].data


def measured(lab) -> np.ndarray:
    at = lab.hear(POSE)[-1].pose.position
    return np.array((at.x, at.y, at.z))


def test_tf_and_the_measured_pose_agree(lab):
    np.testing.assert_allclose(lab.tool_in_tf("fr3_hand_tcp")[:3, 3], measured(lab), atol=1e-3)


def test_told_of_no_hand_desk_measures_the_flange(start_robot, new_lab):
    robot = start_robot(robot="fr3", mode="lockstep", desk_end_effector="none")
    with new_lab(robot) as lab:
        lab.reset(seed=0)
        apart = lab.tool_in_tf("fr3_hand_tcp")[:3, 3] - measured(lab)
        np.testing.assert_allclose(apart, (0, 0, -0.1034), atol=2e-3)
    assert robot.end() == 0


def test_convenience_topics_can_be_slower(start_robot, new_lab):
    robot = start_robot(robot="fr3", mode="lockstep", convenience_publish_rate=100)
    with new_lab(robot) as lab:
        assert len(lab.hear(POSE, None, 0.5)) == 50
        assert len(lab.hear(STATE, FrankaRobotState, 0.5)) == 500
    assert robot.end() == 0


def test_in_real_time_stamps_are_evenly_spaced_however_late_they_come(start_robot, new_lab):
    """Pictures hold the node up for longer than the time between two states."""
    robot = start_robot(robot="fr3", mode="real", camera_rate=5.0)
    with new_lab(robot) as lab:
        lab.inbox("camera/camera/color/image_raw", Image)
        wrenches = lab.inbox(f"{STATES}/external_wrench_in_base_frame", WrenchStamped)
        messages = wrenches.wait(1500)
        stamps = [10**9 * m.header.stamp.sec + m.header.stamp.nanosec for m in messages]
        steps = np.diff(stamps)
        assert steps.min() > 0
        assert np.median(steps) == pytest.approx(1e6, rel=0.05)
    assert robot.end() == 0
