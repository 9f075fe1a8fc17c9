"""Bags as a lab records them, every topic at its own rate, and those that must be refused."""

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from scipy.spatial.transform import Rotation

from vjepa_gate.conventions import ACTION_NAMES
from vjepa_ros.episodes import bag_schema
from vjepa_ros.episodes.bag import read_bag
from vjepa_ros.episodes.bag_schema import typestore
from vjepa_ros.episodes.files import EpisodeError
from vjepa_ros.images import encode_png

START = 1_700_000_000.0


class Lab:
    """A recording as ros2 bag makes it: every topic at its own rate and moment."""

    def __init__(self):
        self.messages = []

    def add(self, topic, kind, stamp, log_stamp=None, frame_id="", **fields):
        time = new("builtin_interfaces/msg/Time", *divmod(nanoseconds_at(stamp), 10**9))
        message = new(kind, new("std_msgs/msg/Header", time, frame_id), *fields.values())
        log = nanoseconds_at(stamp if log_stamp is None else log_stamp)
        self.messages.append((log, topic, kind, message))

    def image(self, stamp, value=0, topic="/camera/image_raw/compressed", **options):
        picture = np.frombuffer(encode_png(np.full((8, 8, 3), value, np.uint8)), np.uint8)
        self.add(topic, bag_schema.COMPRESSED_IMAGE, stamp, format="png", data=picture, **options)

    def pose(self, stamp, x=0.5, turn=0.0, **options):
        quaternion = Rotation.from_euler("xyz", [np.pi, 0, turn]).as_quat()
        pose = new(
            "geometry_msgs/msg/Pose",
            new("geometry_msgs/msg/Point", x, 0.0, 0.3),
            new("geometry_msgs/msg/Quaternion", *map(float, quaternion)),
        )
        topic = "/franka_robot_state_broadcaster/current_pose"
        self.add(topic, bag_schema.POSE, stamp, frame_id="fr3_link0", pose=pose, **options)

    def fingers(self, stamp, each=0.04, names=("fr3_finger_joint1", "fr3_finger_joint2")):
        values = {"name": list(names), "position": np.full(len(names), each)}
        values |= {"velocity": np.zeros(0), "effort": np.zeros(0)}
        self.add("/franka_gripper/joint_states", bag_schema.JOINT_STATE, stamp, **values)

    def write(self, path):
        with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
            connections = {}
            for log, topic, kind, message in sorted(self.messages, key=lambda entry: entry[0]):
                if topic not in connections:
                    connections[topic] = writer.add_connection(topic, kind, typestore=typestore())
                data = bytes(typestore().serialize_cdr(message, kind))
                writer.write(connections[topic], log, data)
        return path


def nanoseconds_at(stamp):
    return round((stamp - START) * 1e9) + int(START) * 10**9


def new(kind, *values):
    return typestore().types[kind](*values)


def moving_arm(seconds=2.0, rate=200):
    """x runs at 0.1 m/s and yaw at 1 rad/s, the fingers close at 0.02 m/s each."""
    lab = Lab()
    for time in np.arange(0, seconds, 1 / rate):
        lab.pose(START + time, x=0.4 + 0.1 * time, turn=3.0 + time)
    for time in np.arange(0, seconds, 1 / 30):
        lab.fingers(START + time, each=0.04 - 0.02 * time)
    return lab


def test_states_are_interpolated_at_the_stamps_of_the_images(tmp_path):
    lab, rng = moving_arm(), np.random.default_rng(0)
    times = np.sort(rng.uniform(0.1, 1.8, 12))
    for index, time in enumerate(times):
        lab.image(START + time, value=index)
    back = read_bag(lab.write(tmp_path / "bag")).load()
    np.testing.assert_allclose(back.stamps - START, times, atol=1e-6)
    np.testing.assert_allclose(back.states[:, 0], 0.4 + 0.1 * times, atol=1e-6)
    np.testing.assert_allclose(back.states[:, 6], 0.5 * times, atol=1e-6)
    yaw = np.angle(np.exp(1j * (back.states[:, 5] - (3.0 + times))))
    np.testing.assert_allclose(yaw, 0, atol=1e-5)  # across the jump from pi to -pi
    assert back.frames[:, 0, 0, 0].tolist() == list(range(12))


def test_images_outside_the_robots_recording_are_left_out_and_counted(tmp_path):
    lab = moving_arm()
    for time in np.arange(-0.5, 2.5, 0.25):
        lab.image(START + time)
    back = read_bag(lab.write(tmp_path / "bag"))
    assert back.trajectory.stamps[0] == START
    assert len(back) == 8
    assert back.trajectory.provenance["images_without_state"] == 4


def test_one_finger_stands_for_both(tmp_path):
    lab = moving_arm()
    lab.messages = [entry for entry in lab.messages if "gripper" not in entry[1]]
    for time in np.arange(0, 2, 0.05):
        lab.fingers(START + time, each=0.03, names=("joint1", "left_finger"))
        lab.image(START + time)
    states = read_bag(lab.write(tmp_path / "bag")).trajectory.states
    np.testing.assert_allclose(states[:, 6], 0.25)


def test_a_command_holds_until_the_next(tmp_path):
    """Images at 10 Hz, commands at 2.5 Hz: each state is told to go to the last target."""
    lab = moving_arm()
    for index, time in enumerate(np.arange(0, 1.2, 0.1)):
        lab.image(START + time)
        if index in (2, 6):
            seconds = new("builtin_interfaces/msg/Time", int(START), round(time * 1e9))
            deltas = dict.fromkeys(ACTION_NAMES, 0.0) | {"dx": 0.05}
            lab.add(
                "/ee_delta", bag_schema.ACTION, START + time + 0.03, image_stamp=seconds,
                sequence=index, **deltas, duration=0.4, energy=0.5,
            )  # fmt: skip
    commanded = read_bag(lab.write(tmp_path / "bag")).trajectory.commanded
    expected = np.array([0, 0, 0.05, 0.04, 0.03, 0.02, 0.05, 0.04, 0.03, 0.02, 0.01])
    np.testing.assert_allclose(commanded[:, 0], expected, atol=1e-6)


def test_the_camera_stands_where_a_chain_of_transforms_says(tmp_path):
    lab = moving_arm()
    transforms = []
    for parent, child, height in (
        ("world", "fr3_link0", 0.8),
        ("world", "mount", 1.5),
        ("mount", "optical", 0.1),
    ):
        transforms.append(
            new(
                "geometry_msgs/msg/TransformStamped",
                new("std_msgs/msg/Header", new("builtin_interfaces/msg/Time", 0, 0), parent),
                child,
                new(
                    "geometry_msgs/msg/Transform",
                    new("geometry_msgs/msg/Vector3", 0.0, 0.0, height),
                    new("geometry_msgs/msg/Quaternion", 0.0, 0.0, 0.0, 1.0),
                ),
            )
        )
    message = new(bag_schema.TRANSFORMS, transforms)
    lab.messages.append((int(START) * 10**9, "/tf_static", bag_schema.TRANSFORMS, message))
    for time in (0.5, 1.0):
        lab.image(START + time, frame_id="optical")
    calibration = read_bag(lab.write(tmp_path / "bag")).trajectory.calibration
    np.testing.assert_allclose(calibration.camera_to_base[:3, 3], [0, 0, 0.8], atol=1e-12)
    assert calibration.intrinsics is None


def test_empty_headers_are_named_and_the_recorders_clock_reads_them(tmp_path):
    lab = moving_arm()
    for time in (0.5, 0.75, 1.0):
        lab.image(0.0, log_stamp=START + time)
    path = lab.write(tmp_path / "bag")
    with pytest.raises(EpisodeError, match=r"image_raw.*expected rising stamps.*clock=recorder"):
        read_bag(path)
    recorder = read_bag(path, {"clock": "recorder"})
    np.testing.assert_allclose(recorder.trajectory.states[:, 0], [0.45, 0.475, 0.5], atol=1e-6)


# --- bags that must be refused -----------------------------------------------------------


def without_images(lab):
    pass


def images_backwards(lab):
    for time, log in ((0.5, 0.5), (0.4, 0.6), (0.7, 0.7)):
        lab.image(START + time, log_stamp=START + log)


def poses_with_a_gap(lab):
    lab.messages = [
        entry
        for entry in lab.messages
        if "current_pose" not in entry[1] or not 0.6 < entry[0] * 1e-9 - START < 1.4
    ]
    for time in (0.5, 1.0, 1.5):
        lab.image(START + time)


def a_wrong_type(lab):
    pose = lab.messages[0][3].pose
    lab.add("/camera/image_raw", bag_schema.POSE, START + 0.5, pose=pose)


def a_closed_hand_in_millimetres(lab):
    lab.messages = [entry for entry in lab.messages if "gripper" not in entry[1]]
    for time in (0.1, 0.5, 1.0):
        lab.fingers(START + time, each=40.0)
        lab.image(START + time)


def an_arm_without_fingers(lab):
    for time in (0.5, 1.0):
        lab.fingers(START + time + 0.001, names=("fr3_joint1",))
        lab.image(START + time)


def no_quaternion(lab):
    for time in (0.5, 1.0):
        lab.image(START + time)
    lab.messages[0][3].pose.orientation.x = 0.0
    lab.messages[0][3].pose.orientation.y = 0.0


def two_sizes(lab):
    for time, size in ((0.5, 8), (0.6, 9)):
        picture = np.frombuffer(encode_png(np.zeros((size, size, 3), np.uint8)), np.uint8)
        lab.add(
            "/camera/image_raw/compressed", bag_schema.COMPRESSED_IMAGE, START + time,
            format="png", data=picture,
        )  # fmt: skip


def depth(lab):
    for time in (0.5, 0.6):
        fields = {"height": 2, "width": 2, "encoding": "16UC1", "is_bigendian": 0, "step": 4}
        data = np.zeros(8, np.uint8)
        lab.add("/camera/image_raw", bag_schema.IMAGE, START + time, **fields, data=data)


@pytest.mark.parametrize(
    ("plant", "message"),
    [
        (without_images, r"camera/image_raw: found no such topic.*the bag has none"),
        (images_backwards, r"compressed: found stamp .*400000 s of message 1 after .*500000"),
        (poses_with_a_gap, r"current_pose: found nothing for 0\.4\d* s around the image"),
        (a_wrong_type, r"image_raw: found type geometry_msgs/msg/PoseStamped; expected sensor"),
        (a_closed_hand_in_millimetres, r"joint_states: .*gripper width 80 m is outside"),
        (an_arm_without_fingers, r"joint_states: found joints \['fr3_joint1'\]"),
        (no_quaternion, r"current_pose: found quaternion of norm 6.*e-17"),
        (two_sizes, r"compressed 1: found a picture of \(9, 9, 3\) after one of \(8, 8, 3\)"),
        (depth, r"image_raw 0: found image encoding '16UC1'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, plant, message):
    lab = moving_arm()
    plant(lab)
    with pytest.raises(EpisodeError, match=message):
        read_bag(lab.write(tmp_path / "bag")).load()
