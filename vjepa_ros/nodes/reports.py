"""What the other nodes say of themselves on /diagnostics, for one that depends on them."""

import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup

from vjepa_gate.gate import ACCEPTED, HINDRANCE
from vjepa_ros.nodes.model_node import ModelNode

_LIFETIME = 3.0  # seconds; they come once a second
_VERDICT = 0.3  # seconds after which what the gate says is about an action that was sent


class Reports:
    """What other nodes say of themselves on /diagnostics."""

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
        """Why the arm gate takes no action now; one that was never heard may yet take some.

        The encoder's trouble is told beside it: to the gate pictures that stay black are frozen.
        """
        silence = self._silence("arm_gate")
        if silence is not None and silence > _LIFETIME:
            return f"arm_gate: it has said nothing for {silence:.0f} s: does it hang?"
        status = self._of("arm_gate")
        if status is None:
            return ""
        values = {value.key: value.value for value in status.values}
        why = values.get(HINDRANCE, status.message)  # a gate that is not active has no values
        if not why:
            return ""
        return "; ".join(filter(None, (f"arm_gate: {why}", self.trouble("encoder"))))

    def accepted(self, sequence: int, sent: float) -> bool | None:
        """Whether the arm gate took an action that was sent at a time of `time.monotonic`.

        None while it has not said. A gate that was never heard is taken to do as it is told.
        """
        said, status = self._newest.get(self._full("arm_gate"), (0.0, None))
        if status is None:
            return True
        values = {value.key: value.value for value in status.values}
        if values.get(ACCEPTED) == str(sequence):
            return True
        return False if said > sent + _VERDICT else None

    def _silence(self, name: str) -> float | None:
        """Seconds since the node said something; None if it never did."""
        said = self._newest.get(self._full(name))
        return None if said is None else time.monotonic() - said[0]

    def _full(self, name: str) -> str:
        return f"{self._namespace}/{name}".lstrip("/")

    def _of(self, name: str) -> DiagnosticStatus | None:
        time_of_it, status = self._newest.get(self._full(name), (0.0, None))
        return status if time.monotonic() - time_of_it < _LIFETIME else None
