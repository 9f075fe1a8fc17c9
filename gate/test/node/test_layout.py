"""The robot's mode out of the bytes of its whole state."""

import numpy as np
import pytest
from franka_msgs.msg import FrankaRobotState
from rclpy.serialization import serialize_message

from vjepa_gate.ros.layout import ByteField

JOINTS = [f"fr3_joint{number}" for number in range(1, 8)]


def state(mode, *, frame="base", joints=JOINTS, value=0.0):
    message = FrankaRobotState(robot_mode=mode)
    message.header.frame_id = message.o_t_ee.header.frame_id = frame
    for part in (message.measured_joint_state, message.tau_ext_hat_filtered):
        part.name, part.position = list(joints), [value] * len(joints)
    # Whatever is beside the mode must not be taken for it.
    message.time, message.control_command_success_rate = value, value
    message.current_errors.joint_reflex = True
    return serialize_message(message)


@pytest.fixture
def mode():
    return ByteField(FrankaRobotState, "robot_mode")


def test_it_follows_the_mode(mode):
    numbers = np.random.default_rng(0)
    for wanted in (2, 2, 4, 5, 2, 255):
        assert mode.read(state(wanted, value=numbers.normal())) == wanted


def test_one_message_is_converted_and_its_like_are_not(mode, monkeypatch):
    assert mode.read(state(2)) == 2
    monkeypatch.setattr("vjepa_gate.ros.layout.deserialize_message", None)
    assert mode.read(state(4, value=1.5)) == 4


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
def test_another_layout_is_seen(mode, other):
    assert mode.read(state(2)) == 2
    for wanted in (4, 5):
        assert mode.read(state(wanted, **other)) == wanted
    assert mode.read(state(3)) == 3


@pytest.mark.parametrize("size", [0, 3, 8, 200])
def test_bytes_that_are_no_state_are_refused(mode, size):
    with pytest.raises((ValueError, RuntimeError)):
        mode.read(state(2)[:size])
    assert mode.read(state(2)) == 2
