"""A node's status on /diagnostics, once a second and whenever its level or its news change."""

from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from vjepa_gate.ros.qos import SIGNALS
from vjepa_gate.ros.timers import steady_timer
from vjepa_gate.status import Status

_PERIOD = 1.0
_CHECK_PERIOD = 0.1
_LEVELS = {
    "ok": DiagnosticStatus.OK,
    "warning": DiagnosticStatus.WARN,
    "error": DiagnosticStatus.ERROR,
}


class Diagnostics:
    """Asks for the status; changes of level are logged too."""

    def __init__(self, node: Node, status: Callable[[], Status]) -> None:
        self._node, self._status = node, status
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", SIGNALS)
        self._timer = steady_timer(node, _CHECK_PERIOD, self._check)
        self._level = self._news = ""
        self._checks_left = 0

    def destroy(self) -> None:
        """Stop telling."""
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)

    def _check(self) -> None:
        status = self._status()
        changed, news = status.level != self._level, status.news != self._news
        self._checks_left -= 1
        if changed:
            self._log(status)
        self._level, self._news = status.level, status.news
        if changed or news or self._checks_left <= 0:
            self._publish(status)
            self._checks_left = round(_PERIOD / _CHECK_PERIOD)

    def _log(self, status: Status) -> None:
        log = self._node.get_logger()
        # One line each: rclpy wants a line of code to keep its severity.
        if status.level == "error":
            log.error(status.message)
        elif status.level == "warning":
            log.warning(status.message)
        else:
            log.info(status.message)

    def _publish(self, status: Status) -> None:
        message = DiagnosticArray()
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.status = [
            DiagnosticStatus(
                level=_LEVELS[status.level],
                name=self._node.get_fully_qualified_name().lstrip("/"),
                message=status.message,
                values=[KeyValue(key=key, value=value) for key, value in status.values.items()],
            )
        ]
        self._publisher.publish(message)
