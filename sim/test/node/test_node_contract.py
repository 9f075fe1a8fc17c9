"""Above the topics nobody can tell it from a Franka: names, types, QoS, rates, units."""

import math

import cv2
import numpy as np
import pytest
from rclpy.action import get_action_names_and_types
from rclpy.qos import ReliabilityPolicy

from vjepa_sim.geometry import quaternion_to_matrix
from vjepa_sim.scene import Scene, SceneConfig

POSE = "franka_robot_state_broadcaster/current_pose"
FINGERS = "franka_gripper/joint_states"
IMAGE = "camera/image_raw"
JPEG = "camera/image_raw/compressed"
BEST_EFFORT, RELIABLE = ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE


@pytest.mark.parametrize(
    ("topic", "kind", "reliability"),
    [
        (POSE, "geometry_msgs/msg/PoseStamped", BEST_EFFORT),
        (FINGERS, "sensor_msgs/msg/JointState", BEST_EFFORT),
        ("joint_states", "sensor_msgs/msg/JointState", RELIABLE),
        (IMAGE, "sensor_msgs/msg/Image", BEST_EFFORT),
        ("camera/camera_info", "sensor_msgs/msg/CameraInfo", BEST_EFFORT),
        (JPEG, "sensor_msgs/msg/CompressedImage", BEST_EFFORT),
        ("camera/pose", "geometry_msgs/msg/PoseStamped", RELIABLE),
        ("sim/truth", "vjepa_msgs/msg/SceneTruth", RELIABLE),
        ("/clock", "rosgraph_msgs/msg/Clock", RELIABLE),
        ("robot_description", "std_msgs/msg/String", RELIABLE),
        ("tf", "tf2_msgs/msg/TFMessage", RELIABLE),
    ],
)
def test_offers(lab, topic, kind, reliability):
    offered = lab.node.get_publishers_info_by_topic(topic)[0]
    assert offered.topic_type == kind
    assert offered.qos_profile.reliability == reliability


def test_the_links_of_its_description_lead_to_the_measured_pose(lab):
    """Named as its joints are; the fingers, too."""
    tool = lab.tool_in_tf("panda_hand_tcp")
    pose = lab.hear(POSE)[-1].pose
    at, turn = pose.position, pose.orientation
    np.testing.assert_allclose(tool[:3, 3], (at.x, at.y, at.z), atol=1e-3)
    rotation = quaternion_to_matrix(np.array((turn.x, turn.y, turn.z, turn.w)))
    np.testing.assert_allclose(tool[:3, :3], rotation, atol=1e-2)
    apart = lab.tool_in_tf("panda_leftfinger") @ np.linalg.inv(lab.tool_in_tf("panda_rightfinger"))
    assert np.linalg.norm(apart[:3, 3]) > 0.05


def test_takes_targets_and_gripper_goals(lab):
    (subscribed,) = lab.node.get_subscriptions_info_by_topic("target_pose")
    assert subscribed.topic_type == "geometry_msgs/msg/PoseStamped"
    assert subscribed.qos_profile.reliability == RELIABLE
    actions = dict(get_action_names_and_types(lab.node))
    assert actions[f"{lab.node.get_namespace()}/gripper_action"] == [
        "control_msgs/action/GripperCommand"
    ]


@pytest.mark.parametrize(
    ("topic", "per_second"),
    [(POSE, 100), (FINGERS, 100), ("joint_states", 100), (IMAGE, 15), ("sim/truth", 10)],
)
def test_rates_in_simulated_time(lab, topic, per_second):
    inbox = lab.inbox(topic)
    lab.step(2.0)
    messages = inbox.wait(2 * per_second)
    assert len(inbox.all()) == 2 * per_second
    stamps = np.array([m.header.stamp.sec + 1e-9 * m.header.stamp.nanosec for m in messages])
    assert np.diff(stamps).min() > 0
    assert np.abs(np.diff(stamps) - 1 / per_second).max() < 1 / 240


def test_state_has_the_units_of_a_franka(lab):
    poses, fingers, joints = lab.inbox(POSE), lab.inbox(FINGERS), lab.inbox("joint_states")
    lab.step(0.1)
    pose, finger, joint = poses.wait()[-1], fingers.wait()[-1], joints.wait()[-1]
    assert pose.header.frame_id == "base"
    turn = pose.pose.orientation
    assert math.hypot(turn.x, turn.y, turn.z, turn.w) == pytest.approx(1)
    assert abs(turn.x) > 0.999  # the gripper points down
    assert 0.3 < pose.pose.position.x < 0.6
    assert finger.name == ["panda_finger_joint1", "panda_finger_joint2"]
    assert list(finger.position) == pytest.approx([0.04, 0.04], abs=1e-3)
    assert joint.name[:7] == [f"panda_joint{number}" for number in range(1, 8)]
    assert joint.name[7:] == finger.name
    assert len(joint.position) == len(joint.velocity) == len(joint.effort) == 9


def test_picture_and_calibration_belong_together(lab):
    pictures, infos, jpegs = lab.inbox(IMAGE), lab.inbox("camera/camera_info"), lab.inbox(JPEG)
    lab.step(0.2)
    image, info, jpeg = pictures.wait(3)[-1], infos.wait(3)[-1], jpegs.wait(3)[-1]
    assert (image.width, image.height, image.encoding, image.step) == (64, 48, "rgb8", 192)
    assert image.header == info.header == jpeg.header
    assert image.header.frame_id == "camera_optical_frame"

    with Scene(SceneConfig(width=64, height=48)) as scene:
        scene.reset(0)
        camera = scene.camera()
    np.testing.assert_allclose(np.reshape(info.k, (3, 3)), camera.intrinsics)

    rgb = np.frombuffer(image.data, np.uint8).reshape(48, 64, 3)
    decoded = cv2.imdecode(np.frombuffer(jpeg.data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert rgb.std() > 10
    assert np.abs(rgb.astype(int) - decoded).mean() < 8


def test_the_hand_reaches_a_width(lab):
    for position in (0.0, 0.03):
        handle = lab.grip(position)
        lab.step(1.5)
        result = lab.ask(handle.get_result_async).result
        assert (result.reached_goal, result.stalled) == (True, False)
        assert result.position == pytest.approx(position, abs=1e-3)


@pytest.mark.parametrize(
    ("position", "effort"),
    [(0.05, 0.0), (-0.01, 0.0), (math.nan, 0.0), (0.02, -5.0), (0.02, 500.0)],
)
def test_the_hand_aborts_what_it_cannot_do(lab, position, effort):
    result = lab.ask(lab.grip(position, effort).get_result_async)
    assert result.status == 6  # action_msgs/GoalStatus ABORTED
    fingers = lab.inbox(FINGERS)
    lab.step(0.3)
    assert fingers.wait()[-1].position[0] == pytest.approx(0.04, abs=1e-3)


def test_cancelling_stops_the_fingers(lab):
    handle = lab.grip(0.0)
    lab.step(0.3)
    lab.ask(handle.cancel_goal_async)
    result = lab.ask(handle.get_result_async)
    assert result.status == 5  # CANCELED
    fingers = lab.inbox(FINGERS)
    lab.step(0.5)
    assert fingers.wait()[-1].position[0] == pytest.approx(result.result.position, abs=2e-3)
    assert 0.01 < result.result.position < 0.035


def test_a_new_goal_takes_over(lab):
    first = lab.grip(0.0)
    lab.step(0.1)
    second = lab.grip(0.035)
    assert lab.ask(first.get_result_async).status == 6
    lab.step(1.0)
    assert lab.ask(second.get_result_async).result.reached_goal


def test_feedback_tells_where_the_fingers_are(lab):
    seen = []
    handle = lab.grip(0.01, on_feedback=lambda m: seen.append(m.feedback.position))
    lab.step(1.0)
    lab.ask(handle.get_result_async)
    assert len(seen) > 10
    assert seen == sorted(seen, reverse=True)
