"""Numbers written into a message's bytes are those that another reads."""

import numpy as np
import pytest
from franka_msgs.msg import FrankaRobotState
from geometry_msgs.msg import PoseStamped
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from vjepa_sim.ros.wire import Wire


def state() -> FrankaRobotState:
    """Texts of odd lengths, so that nothing is aligned by chance."""
    joints = JointState(
        header=Header(frame_id="a"), name=["x", "yy", "zzz"], position=[1.0, 2.0, 3.0]
    )
    message = FrankaRobotState(measured_joint_state=joints)
    message.o_t_ee.header.frame_id = "base"
    message.o_f_ext_hat_k.header.frame_id = "ab"
    return message


def read(wire: Wire, kind: type = FrankaRobotState):
    return deserialize_message(bytes(wire), kind)


def test_unchanged_it_is_the_message():
    assert read(Wire(state())) == state()


@pytest.mark.parametrize(
    ("path", "count", "get"),
    [
        ("measured_joint_state.position[0]", 3, lambda m: list(m.measured_joint_state.position)),
        ("ddq_d[0]", 7, lambda m: m.ddq_d.tolist()),
        ("elbow.position[0]", 2, lambda m: m.elbow.position.tolist()),
        ("time", 1, lambda m: [m.time]),
        (
            "o_f_ext_hat_k.wrench.force.x",
            3,
            lambda m: [getattr(m.o_f_ext_hat_k.wrench.force, axis) for axis in "xyz"],
        ),
        (
            "o_t_ee.pose.orientation.x",
            4,
            lambda m: [getattr(m.o_t_ee.pose.orientation, axis) for axis in "xyzw"],
        ),
    ],
)
def test_numbers(path, count, get):
    wire = Wire(state())
    values = np.random.default_rng(0).standard_normal(count)
    wire.put(wire.slots((path, count)), values)
    message = read(wire)
    assert get(message) == values.tolist()
    wire.put(wire.slots((path, count)), get(state()))
    assert read(wire) == state()  # nothing else was touched


def test_modes_and_errors():
    wire = Wire(state())
    wire.small("robot_mode")[:] = 4
    wire.small("current_errors.cartesian_reflex")[:] = True
    message = read(wire)
    assert message.robot_mode == FrankaRobotState.ROBOT_MODE_REFLEX
    assert message.current_errors.cartesian_reflex
    assert not message.current_errors.joint_reflex
    assert not message.last_motion_errors.cartesian_reflex


def test_all_stamps():
    wire = Wire(state())
    wire.stamp(1_700_000_000_123_456_789)
    message = read(wire)
    for header in (message.header, message.o_t_ee.header, message.measured_joint_state.header):
        assert (header.stamp.sec, header.stamp.nanosec) == (1_700_000_000, 123_456_789)


def test_a_short_message():
    wire = Wire(PoseStamped(header=Header(frame_id="base")))
    wire.put(wire.slots(("pose.position.x", 3), ("pose.orientation.w", 1)), range(4))
    pose = read(wire, PoseStamped).pose
    assert (pose.position.z, pose.orientation.z, pose.orientation.w) == (2.0, 0.0, 3.0)


def test_a_part_takes_its_numbers_from_the_whole():
    whole = Wire(state())
    part = Wire(state().measured_joint_state)
    whole.put(whole.slots(("measured_joint_state.position[0]", 3)), (7.0, 8.0, 9.0))
    part.copy(whole, part.shared(whole, "measured_joint_state"))
    assert read(part, JointState) == read(whole).measured_joint_state
