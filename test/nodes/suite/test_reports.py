"""What a node gathers from /diagnostics about those that it depends on."""

import time

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.context import Context

from vjepa_gate.gate import ACCEPTED, HINDRANCE
from vjepa_ros.nodes.model_node import ModelNode
from vjepa_ros.nodes.reports import Reports


@pytest.fixture
def hear():
    """Reports of a node in a namespace, and a way to tell it what others say."""
    context = Context()
    context.init()
    node = ModelNode("planner", namespace="/left", context=context)
    reports = Reports(node)

    def hear(name, level, message, **values):
        pairs = [KeyValue(key=key, value=value) for key, value in values.items()]
        status = DiagnosticStatus(name=name, level=level, message=message, values=pairs)
        reports._keep(DiagnosticArray(status=[status]))
        return reports

    yield hear
    node.resources.close()
    node.destroy_node()
    context.try_shutdown()


def test_trouble_of_a_node_in_the_same_namespace(hear):
    assert hear("left/encoder", DiagnosticStatus.OK, "encoding").trouble("encoder") == ""
    reports = hear("left/encoder", DiagnosticStatus.ERROR, "it shows nothing")
    assert reports.trouble("encoder") == "encoder: it shows nothing"
    assert reports.trouble("predictor") == ""
    assert hear("right/predictor", DiagnosticStatus.ERROR, "no").trouble("predictor") == ""


def test_why_the_gate_takes_no_action(hear):
    assert hear("left/encoder", DiagnosticStatus.ERROR, "no").hindrance() == ""  # no gate at all
    warning = DiagnosticStatus.WARN
    refused = hear("left/arm_gate", warning, "gripper: closing was refused", **{HINDRANCE: ""})
    assert refused.hindrance() == ""
    held = hear("left/arm_gate", warning, "holding: frozen", **{HINDRANCE: "frozen"})
    assert held.hindrance() == "arm_gate: frozen; encoder: no"  # as pictures that stay black
    assert hear("left/encoder", DiagnosticStatus.OK, "").hindrance() == "arm_gate: frozen"
    assert hear("left/arm_gate", warning, "not active").hindrance() == "arm_gate: not active"


def test_what_was_said_long_ago_does_not_count(hear, monkeypatch):
    reports = hear("left/encoder", DiagnosticStatus.ERROR, "no")
    later = time.monotonic() + 4
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert reports.trouble("encoder") == ""


def test_what_the_gate_says_of_an_action(hear, monkeypatch):
    """Silent for a moment, stopped: nothing is known yet; back, it tells what it took last."""
    assert hear("left/encoder", DiagnosticStatus.OK, "encoding").accepted(1, 0.0) is True  # no gate
    now = time.monotonic()
    reports = hear("left/arm_gate", DiagnosticStatus.OK, "moving", **{ACCEPTED: "6"})
    assert reports.accepted(7, now) is None
    monkeypatch.setattr(time, "monotonic", lambda: now + 2)
    assert reports.accepted(7, now) is None
    reports = hear("left/arm_gate", DiagnosticStatus.OK, "moving", **{ACCEPTED: "6"})
    assert reports.accepted(7, now) is False
    reports = hear("left/arm_gate", DiagnosticStatus.OK, "moving", **{ACCEPTED: "7"})
    assert reports.accepted(7, now) is True


def test_a_gate_that_hangs_takes_no_action(hear, monkeypatch):
    """Stopped, or swapped out: what is sent to it is not done, and must not count as steps."""
    reports = hear("left/arm_gate", DiagnosticStatus.OK, "at the goal", **{HINDRANCE: ""})
    assert reports.hindrance() == ""
    later = time.monotonic() + 4
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert reports.hindrance().startswith("arm_gate: it has said nothing for 4 s")
