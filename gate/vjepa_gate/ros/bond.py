"""The heart beat by which nav2's lifecycle manager knows that an active node lives.

One end of a bond as bondcpp speaks it: the manager ends all its nodes when one falls silent. What
becomes of the manager is nothing to a node.
"""

import uuid

from rclpy.node import Node

from vjepa_gate.ros.qos import SIGNALS
from vjepa_gate.ros.timers import steady_timer

# As nav2's own nodes have them; the manager has a `bond_timeout` of its own.
_PERIOD, _TIMEOUT = 0.1, 4.0  # seconds


class Bond:
    """Beats from now on, until `destroy` says that it ends."""

    def __init__(self, node: Node) -> None:
        from bond.msg import Status

        self._node = node
        self._beat = Status(
            id=node.get_name(),
            instance_id=str(uuid.uuid4()),
            active=True,
            heartbeat_period=_PERIOD,
            heartbeat_timeout=_TIMEOUT,
        )
        self._publisher = node.create_publisher(Status, "bond", SIGNALS)
        self._timer = steady_timer(node, _PERIOD, self._tell)

    def destroy(self) -> None:
        """End it in order."""
        self._node.destroy_timer(self._timer)
        self._beat.active = False
        self._tell()
        self._node.destroy_publisher(self._publisher)

    def _tell(self) -> None:
        self._beat.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(self._beat)
