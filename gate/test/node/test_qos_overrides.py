"""Quality of service as `qos_overrides` parameters say it, where they are given."""

import pytest
from rclpy.context import Context
from rclpy.qos import ReliabilityPolicy

from vjepa_gate.arm_gate import ArmGate
from vjepa_gate.errors import UserError
from vjepa_gate.ros.qos import DELTAS
from vjepa_gate.settings import refuse_unknown_parameters

BEST_EFFORT, RELIABLE = ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE


@pytest.fixture
def make_gate():
    made = []

    def make(*parameters):
        context = Context()
        words = [word for parameter in parameters for word in ("-p", parameter)]
        context.init(args=["--ros-args", "-r", "__ns:=/left", *words])
        made.append(ArmGate(context=context))
        return made[-1]

    yield make
    for gate in made:
        gate.trigger_shutdown()
        gate.destroy_node()
        gate.context.try_shutdown()


def reliabilities(gate):
    """Of the targets, the actions and the measured poses, once it is configured."""
    ends = (
        gate.get_publishers_info_by_topic("/left/target_pose"),
        gate.get_subscriptions_info_by_topic("/left/ee_delta"),
        gate.get_subscriptions_info_by_topic("/left/franka_robot_state_broadcaster/current_pose"),
    )
    return [info.qos_profile.reliability for (info,) in ends]


def test_what_is_given_goes_before_the_robots_yaml(make_gate):
    gate = make_gate(
        "qos_overrides./left/target_pose.publisher.reliability:=best_effort",
        "qos_overrides./left/ee_delta.subscription.reliability:=best_effort",
        "qos_overrides./left/franka_robot_state_broadcaster/current_pose.subscription"
        ".reliability:=reliable",
    )
    refuse_unknown_parameters([gate])
    for _ in range(2):  # cleanup forgets none of it
        gate.trigger_configure()
        assert reliabilities(gate) == [BEST_EFFORT, BEST_EFFORT, RELIABLE]
        gate.trigger_cleanup()
    assert DELTAS.reliability == RELIABLE  # which others share


def test_without_any_it_is_as_the_yaml_says(make_gate):
    gate = make_gate()
    gate.trigger_configure()
    assert reliabilities(gate) == [RELIABLE, RELIABLE, BEST_EFFORT]
    assert not gate.get_parameters_by_prefix("qos_overrides")


def test_a_policy_that_cannot_be_overridden_is_refused(make_gate):
    gate = make_gate("qos_overrides./left/target_pose.publisher.colour:=red")
    with pytest.raises(UserError, match=r"qos_overrides\S+colour is unknown"):
        refuse_unknown_parameters([gate])
