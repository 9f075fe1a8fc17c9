"""Nodes that hang are told, once, and once more when they are back."""

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from vjepa_gate.ros.spinning import spinning_node
from vjepa_ros.nodes import silence
from vjepa_ros.nodes.silence import Silence


def test_who_falls_silent_is_told_and_who_is_back(monkeypatch, wait_until):
    monkeypatch.setattr(silence, "LONGEST", 0.5)
    said = []
    with spinning_node("watch", namespace="/left") as node:
        watch = Silence(node, ["planner", "encoder"], said.append)
        publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)

        def tell(*names):
            status = [DiagnosticStatus(name=name) for name in names]
            publisher.publish(DiagnosticArray(status=status))
            watch.check()
            return watch._heard

        wait_until(lambda: tell("left/planner", "right/encoder", "left/other"), "heard")
        assert list(watch._heard) == ["planner"]  # what never told anything may not be there

        def noticed():
            watch.check()
            return said

        wait_until(noticed, "silent")
        noticed()
        assert said == ["planner has said nothing for 1 s: does it hang?"]
        wait_until(lambda: tell("left/planner") and len(said) > 1, "back")
        assert said[1:] == ["planner is back"]
