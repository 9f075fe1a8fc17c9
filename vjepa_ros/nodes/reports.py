"""What the other nodes say of themselves on /diagnostics, for one that depends on them."""

import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup

from vjepa_gate.gate import HINDRANCE
from vjepa_ros.nodes.model_node import ModelNode

_LIFETIME = 3.0  # seconds; they come once a second


class Reports:
    def __init__(self, node: ModelNode) -> None:
        self._namespace = node.get_namespace().strip("/")
        self._newest: dict[str, tuple[float, DiagnosticStatus]] = {}
        group = MutuallyExclusiveCallbackGroup()
        node.subscribe(DiagnosticArray, "/diagnostics", self._keep, 100, callback_group=group)

    def _keep(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self._newest[status.name] = time.monotonic(), status

    def trouble(self, name: str) -> str:
        """Why that node does not work now; nothing if it does, or has not said anything lately."""
        status = self._of(name)
        if status is None or status.level == DiagnosticStatus.OK:
            return ""
        return f"{name}: {status.message}"

    def hindrance(self) -> str:
        """Why the arm gate takes no action now."""
        status = self._of("arm_gate")
        if status is None:
            return ""
        values = {value.key: value.value for value in status.values}
        why = values.get(HINDRANCE, status.message)  # a gate that is not active has no values
        return f"arm_gate: {why}" if why else ""

    def _of(self, name: str) -> DiagnosticStatus | None:
        time_of_it, status = self._newest.get(f"{self._namespace}/{name}".lstrip("/"), (0.0, None))
        return status if time.monotonic() - time_of_it < _LIFETIME else None
