"""A Franka's mode, pose and wrench out of its whole state."""

import pytest
import yaml
from rclpy.serialization import serialize_message

from vjepa_gate.robots import Topic
from vjepa_gate.ros.franka_state import FrankaState
from vjepa_gate.ros.spinning import spinning_node
from vjepa_gate.share import config_folder

FrankaRobotState = pytest.importorskip("franka_msgs.msg").FrankaRobotState
STATES = "franka_robot_state_broadcaster"
POSE, WRENCH = f"{STATES}/current_pose", f"{STATES}/external_wrench_in_base_frame"


def state(mode=2, stamp=3, x=0.4, push=0.0):
    message = FrankaRobotState(robot_mode=mode)
    message.header.stamp.sec = stamp
    message.o_t_ee.header.frame_id = message.o_f_ext_hat_k.header.frame_id = "base"
    at, turn = message.o_t_ee.pose.position, message.o_t_ee.pose.orientation
    at.x, at.z, turn.x, turn.w = x, 0.3, 1.0, 0.0
    message.o_f_ext_hat_k.wrench.force.z = push
    return message


@pytest.fixture
def told():
    return []


@pytest.fixture
def franka(told):
    return FrankaState(
        FrankaRobotState,
        Topic(name=f"{STATES}/robot_state"),
        lambda mode, stamp: told.append((mode, stamp)),
    )


def test_what_other_topics_repeat_is_taken_from_it(franka, told):
    assert franka.has(Topic(name=WRENCH), lambda *wrench: told.append(wrench))
    assert franka.has(Topic(name=POSE), lambda *pose: told.append(pose))
    franka.read(serialize_message(state(stamp=7, push=5.0)))
    assert told == [
        (2, 7.0),
        (7.0, "base", [0.0, 0.0, 5.0, 0.0, 0.0, 0.0]),
        (7.0, "base", [0.4, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0]),
    ]


@pytest.mark.parametrize(
    "other", ["current_pose", "pose_broadcaster/current_pose", f"left/{POSE}", f"{STATES}/pose"]
)
def test_what_another_node_publishes_is_not_in_it(franka, told, other):
    assert not franka.has(Topic(name=other), told.append)
    franka.read(serialize_message(state()))
    assert told == [(2, 3.0)]


def test_a_robot_without_a_namespace(told):
    franka = FrankaState(FrankaRobotState, Topic(name="robot_state"), lambda *_: None)
    assert franka.has(Topic(name="current_pose"), lambda *_: None)


def test_the_gate_moves_by_the_state_alone_and_by_one_publisher_of_it(bench, active_gate, tmp_path):
    content = yaml.safe_load((config_folder("vjepa_gate") / "sim.yaml").read_text())
    content["topics"] |= {
        "franka_state": {"name": f"{STATES}/robot_state"},
        "external_wrench": {"name": WRENCH},
    }
    content["contact"] = {"max_force": 20.0, "max_torque": 5.0}
    path = tmp_path / "franka.yaml"
    path.write_text(yaml.safe_dump(content))
    bench.alive.remove("pose")
    push = [0.0]

    def tell(states):
        message = state(x=bench.position[0], push=push[0])
        place = message.o_t_ee.pose.position
        _, place.y, place.z = bench.position
        message.header.stamp = bench.node.get_clock().now().to_msg()
        states.publish(message)

    states = bench.node.create_publisher(FrankaRobotState, f"{STATES}/robot_state", 1)
    bench.node.create_timer(0.02, lambda: tell(states))
    gate = active_gate(robot=str(path))
    assert gate.count_subscribers(POSE) == gate.count_subscribers(WRENCH) == 0
    bench.send(dx=0.05)
    bench.wait_until_moving()

    push[0] = 25.0
    bench.wait_for_status("stopped: the tool was pushed with 25.0 N")
    push[0] = 0.0
    with spinning_node("impostor") as other:
        other.create_publisher(FrankaRobotState, f"{STATES}/robot_state", 1)
        bench.wait_for_status("2 nodes publish the measured pose, expected one: ")
