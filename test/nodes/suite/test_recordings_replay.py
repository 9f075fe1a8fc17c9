"""What was recorded of any robot that has a YAML is replayed, with nothing said of its topics."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped, TransformStamped
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from tf2_msgs.msg import TFMessage

import vjepa_gate
from vjepa_gate.isolation import reserve_domain
from vjepa_gate.robots import load_robot
from vjepa_gate.ros.qos import of_topic
from vjepa_gate.ros.spinning import spinning_node
from vjepa_ros import cli
from vjepa_ros.episodes.library import open_episode
from vjepa_ros.images import encode_jpeg, rgb_to_fields
from vjepa_ros.nodes.recorder import RecorderNode

SHIPPED = sorted(
    path.stem for path in (Path(vjepa_gate.__file__).parents[1] / "config").glob("*.yaml")
)
WIDTH = 0.05  # between the fingers
EXTRINSIC = (1.2, 0.1, 0.6)  # metres, of the camera in the base frame
OPTICAL = "camera_color_optical_frame"


class Arm:
    """A robot as its YAML has it, whose tool goes along y; its time goes on when it is told."""

    def __init__(self, node, robot):
        topics = robot.topics
        self.node, self.robot = node, robot
        self.y, self.time = 0.0, 1_700_000_000.0
        camera = topics.camera
        self.compressed = camera.compressed
        kind = CompressedImage if camera.compressed else Image
        self.images = node.create_publisher(kind, camera.name, of_topic(camera))
        folder, slash, _ = camera.name.removesuffix("/compressed").rpartition("/")
        self.infos = node.create_publisher(CameraInfo, f"{folder}{slash}camera_info", 1)
        self.joints = node.create_publisher(
            JointState, topics.joint_states.name, of_topic(topics.joint_states)
        )
        self.poses = topics.current_pose and node.create_publisher(
            PoseStamped, topics.current_pose.name, of_topic(topics.current_pose)
        )
        self.tf = node.create_publisher(TFMessage, "/tf", 10)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.tf_static = node.create_publisher(TFMessage, "/tf_static", latched)
        base, tool = robot.base_frame, robot.tool_frame
        stands = [
            transform("world", base, (9.0, 9.0, 9.0)),
            transform(base, OPTICAL, EXTRINSIC),
            transform("wrist", tool, (0.0, 0.0, 0.1), turned=False),
        ]
        self.tf_static.publish(TFMessage(transforms=stands))

    def is_heard(self):
        ends = [self.images, self.infos, self.joints, self.tf_static, self.poses or self.tf]
        return all(end.get_subscription_count() for end in ends)

    def go(self):
        """For a tenth of a second."""
        for _ in range(2):
            self._tell()
            self.y, self.time = self.y + 0.004, self.time + 0.05
        self._show()

    def _stamp(self):
        return Time(nanoseconds=round(self.time * 1000) * 1_000_000).to_msg()

    def _tell(self):
        stamp = self._stamp()
        pose = PoseStamped()
        pose.header.stamp, pose.header.frame_id = stamp, self.robot.base_frame
        pose.pose.position.x, pose.pose.position.y, pose.pose.position.z = 0.5, self.y, 0.3
        pose.pose.orientation.x, pose.pose.orientation.w = 1.0, 0.0
        if self.poses:
            self.poses.publish(pose)
        wrist = transform(self.robot.base_frame, "wrist", (0.5, self.y, 0.4), stamp)
        self.tf.publish(TFMessage(transforms=[transform("elbow", "other", (0.0, 0.0, 1.0), stamp)]))
        self.tf.publish(TFMessage(transforms=[wrist]))
        gripper = self.robot.gripper
        for names, position in (
            (["fr3_joint1", "some_finger_of_another_hand"], 1.0),
            (["fr3_joint1", *gripper.joints], gripper.command(WIDTH)),
        ):
            joints = JointState(name=names, position=[position] * len(names))
            joints.header.stamp = stamp
            self.joints.publish(joints)

    def _show(self):
        rng = np.random.default_rng(round(self.time * 10))
        picture = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
        if self.compressed:
            image = CompressedImage(format="jpeg", data=encode_jpeg(picture))
        else:
            image = Image(**rgb_to_fields(picture))
        info = CameraInfo(width=64, height=48, k=[50.0, 0.0, 32.0, 0.0, 50.0, 24.0, 0.0, 0.0, 1.0])
        for message in (image, info):
            message.header.stamp = self._stamp()
            message.header.frame_id = OPTICAL
        self.infos.publish(info)
        self.images.publish(image)


def transform(parent, child, position, stamp=None, turned=None):
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id = parent
    if stamp is not None:
        message.header.stamp = stamp
    turned = stamp is not None if turned is None else turned
    place, turn = message.transform.translation, message.transform.rotation
    place.x, place.y, place.z = position
    turn.x, turn.w = (1.0, 0.0) if turned else (0.0, 1.0)
    return message


@pytest.fixture
def record(tmp_path, wait_until):
    """Records two seconds of a robot; the path of the bag."""

    def record(name, namespace="/"):
        bag = tmp_path / name / "bag"
        values = {"robot": name, "folder": str(bag), "task": "push"}
        with spinning_node("arm", namespace=namespace) as node:
            recorder = RecorderNode(
                context=node.context,
                namespace=namespace,
                parameter_overrides=[Parameter(key, value=value) for key, value in values.items()],
            )
            node.executor.add_node(recorder)
            arm = Arm(node, load_robot(name))
            recorder.trigger_configure()
            wait_until(arm.is_heard, "heard")
            wait_until(lambda: recorder._early, "transforms, which are said once")
            recorder.trigger_activate()
            for _ in range(20):
                arm.go()
                time.sleep(0.02)
            wait_until(lambda: recorder._counts[arm.images.topic_name] > 15, "recorded")
            recorder.trigger_shutdown()
            recorder.destroy_node()
        return bag

    return record


@pytest.mark.parametrize("name", SHIPPED)
def test_a_recording_of_every_shipped_robot_is_replayed(name, record, weights, tmp_path):
    bag = record(name)
    episode = open_episode(bag)
    trajectory = episode.trajectory
    assert len(trajectory) > 14
    np.testing.assert_allclose(trajectory.states[:, (0, 2)], [[0.5, 0.3]] * len(trajectory))
    assert (np.diff(trajectory.states[:, 1]) > 0.005).all()  # one image may be lost
    max_width = load_robot(name).gripper.max_width
    np.testing.assert_allclose(trajectory.states[:, 6], 1 - WIDTH / max_width, atol=1e-6)
    assert (trajectory.task, trajectory.provenance["robot"]) == ("push", load_robot(name).name)
    calibration = trajectory.calibration
    assert calibration.intrinsics[0, 0] == 50
    np.testing.assert_allclose(calibration.camera_to_base[:3, 3], EXTRINSIC)
    words = ["replay", str(bag), "--weights", str(weights), "--html", str(tmp_path / "page.html")]
    quick = ["--samples=8", "--iterations=1", "--elites=2", "--workers=1", "--plan-every=4"]
    assert cli.main([*words, *quick]) == 0


@pytest.mark.parametrize(
    ("robot", "poses", "where"),
    [
        # TF, the robot's mode and, of a gate in dry run, velocities that no arm follows.
        ("franka_servo", "/tf", []),
        # The gate has the pose from the whole state, the planner from its own topic.
        ("franka_crisp", "franka_robot_state_broadcaster/current_pose", ["--namespace", "left"]),
    ],
)
def test_a_recording_of_a_franka_goes_through_the_real_graph(
    record, weights, tmp_path, monkeypatch, robot, poses, where
):
    bag, found = record(robot), tmp_path / "graph.json"
    monkeypatch.setenv("ROS_DOMAIN_ID", str(reserve_domain()))
    words = ["replay", str(bag), "--graph", "--rate", "0", "--weights", str(weights)]
    quick = ["--samples=8", "--iterations=1", "--elites=2", "--composed", f"--json={found}"]
    assert cli.main([*words, *quick, "--robot", robot, *where]) == 0
    (episode,) = json.loads(found.read_text())["episodes"]
    assert episode["planned"] >= episode["frames"] - 1
    assert episode["rates"][poses] > 0
    assert episode["rates"]["arm_gate/shadow_target"] > 0


def test_a_robot_in_a_namespace(record):
    """TF is that of all robots; what else it says is in its namespace."""
    assert len(open_episode(record("franka_crisp", "/left")).trajectory) > 14
