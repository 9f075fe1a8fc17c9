"""The heart beat of an active node, for nav2's lifecycle manager."""

import sys

import pytest
from rclpy.context import Context
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile

from vjepa_gate.arm_gate import ArmGate
from vjepa_gate.ros.spinning import spinning


@pytest.fixture
def gate():
    context = Context()
    context.init(args=["--ros-args", "-r", "__ns:=/left"])
    gate = ArmGate(context=context, parameter_overrides=[Parameter("bond", value=True)])
    with spinning(gate):
        yield gate
    gate.trigger_shutdown()
    gate.destroy_node()
    context.try_shutdown()


def test_it_beats_while_the_node_is_active_and_says_when_it_ends(gate, wait_until):
    status, beats = pytest.importorskip("bond.msg").Status, []
    gate.create_subscription(status, "/left/bond", beats.append, QoSProfile(depth=100))
    gate.trigger_configure()
    assert not beats
    gate.trigger_activate()
    wait_until(lambda: len(beats) > 5, "beating")
    gate.trigger_deactivate()
    wait_until(lambda: not beats[-1].active, "ended")
    (instance,) = {beat.instance_id for beat in beats}
    assert {(beat.id, beat.active) for beat in beats[:-1]} == {("arm_gate", True)}
    assert (beats[0].heartbeat_period, beats[0].heartbeat_timeout) == pytest.approx((0.1, 4.0))

    gate.trigger_activate()  # for the manager this is another one
    wait_until(lambda: beats[-1].active, "beating again")
    assert beats[-1].instance_id != instance


def test_without_its_messages_the_node_is_active_and_says_so(gate, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "bond.msg", None)
    gate.trigger_configure()
    gate.trigger_activate()
    assert gate.active
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "bond" in line]
    assert "bond is not installed (ros-$ROS_DISTRO-bond): none is made" in line
