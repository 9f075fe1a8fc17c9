"""A few fields out of the bytes of a Franka's whole state."""

import pytest
from franka_msgs.msg import FrankaRobotState
from rclpy.serialization import serialize_message

from vjepa_gate.ros.layout import Fields

JOINTS = [f"fr3_joint{number}" for number in range(1, 8)]


def state(mode, *, frame="base", joints=JOINTS, value=0.0):
    message = FrankaRobotState(robot_mode=mode)
    message.header.frame_id = message.o_t_ee.header.frame_id = frame
    for part in (message.measured_joint_state, message.tau_ext_hat_filtered):
        part.name, part.position = list(joints), [value] * len(joints)
    # Whatever is beside the mode must not be taken for it.
    message.time, message.control_command_success_rate = value, value
    message.current_errors.joint_reflex = True
    place, turn = message.o_t_ee.pose.position, message.o_t_ee.pose.orientation
    place.x, place.y, place.z = value, value + 1, value + 2
    turn.x, turn.w = value, 1 - value
    message.o_t_ee.header.stamp.sec = 7
    return serialize_message(message)


@pytest.fixture
def fields():
    return Fields(FrankaRobotState, "robot_mode", "o_t_ee")


def read(fields, serialized):
    """The mode, and what is told of the pose."""
    (mode,), (seconds, nanoseconds, frame, *pose) = fields.read(serialized)
    assert (seconds, nanoseconds) == (7, 0)
    return mode, frame.decode(), pose


def test_they_follow_the_message(fields):
    for wanted, value in ((2, 0.0), (2, 0.25), (4, -1.5), (255, 1e-9)):
        pose = [value, value + 1, value + 2, value, 0.0, 0.0, 1 - value]
        assert read(fields, state(wanted, value=value)) == (wanted, "base", pose)


def test_one_message_is_converted_and_its_like_are_not(fields, monkeypatch):
    assert read(fields, state(2))[0] == 2
    monkeypatch.setattr("vjepa_gate.ros.layout.deserialize_message", None)
    assert read(fields, state(4, value=1.5))[0] == 4


@pytest.mark.parametrize(
    "other",
    [
        {"frame": "fr3_link0"},
        {"joints": JOINTS[:6]},
        {"joints": []},
        # As many bytes in all, and other lengths: the first name is longer, the second shorter.
        {"joints": ["fr3_joint_1", "joint2", *JOINTS[2:]]},
    ],
)
def test_another_layout_is_seen(fields, other):
    frame = other.get("frame", "base")
    assert read(fields, state(2))[:2] == (2, "base")
    for wanted in (4, 5):
        assert read(fields, state(wanted, **other))[:2] == (wanted, frame)
    assert read(fields, state(3))[:2] == (3, "base")


@pytest.mark.parametrize("size", [0, 3, 8, 200, 700])
def test_bytes_that_are_no_state_are_refused(fields, size):
    for _ in range(2):  # before and after a good one
        with pytest.raises((ValueError, RuntimeError)):
            fields.read(state(2)[:size])
        assert read(fields, state(2))[0] == 2


def test_a_field_that_is_not_there():
    with pytest.raises(ValueError, match="FrankaRobotState has not all of robot_mode, wheels"):
        Fields(FrankaRobotState, "robot_mode", "wheels").read(state(2))
