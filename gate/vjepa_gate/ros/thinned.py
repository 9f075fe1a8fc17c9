"""Topics that may come a thousand times a second, as often as they are needed.

An executor that calls Python for each message takes 0.1 ms for it, and rclpy up to 1 ms to convert
one: together more than a core. Here the middleware keeps the newest message of each, and whoever
listens takes it when there is a use for it, as bytes.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile
from rclpy.subscription import Subscription

from vjepa_gate.robots import Topic
from vjepa_gate.ros.qos import given_overrides, of_topic, overridable


@dataclass(kw_only=True)
class _Heard:
    subscription: Subscription
    callback: Callable[[bytes], None]
    keeps_one: bool  # of what came

    def newest(self) -> bytes | None:
        """What came since the last look, None where nothing did."""
        take, kind, newest = self.subscription.handle.take_message, self.subscription.msg_type, None
        while (taken := take(kind, True)) is not None:
            newest = taken[0]
            if self.keeps_one:
                break
        return newest


class Thinned:
    """Subscriptions whose newest message is handed on by `look`, serialized."""

    def __init__(self, node: Node) -> None:
        self._node, self._heard = node, list[_Heard]()
        self._resources = ExitStack()
        # One that no executor serves, in the same participant.
        self._apart = apart(node, "hears")
        self._resources.callback(self._apart.destroy_node)

    def destroy(self) -> None:
        """Stop listening."""
        self._heard.clear()
        self._resources.close()

    def subscribe(self, kind: type, topic: Topic, callback: Callable[[bytes], None]) -> None:
        """Take part in each look; ValueErrors of the callback are logged."""
        name = self._node.resolve_topic_name(topic.name)
        profile = QoSProfile(depth=1, reliability=of_topic(topic).reliability)
        how = overridable(self._node, topic.name, profile, "subscription")
        subscription = self._apart.create_subscription(kind, name, lambda _: None, raw=True, **how)
        kept = how["qos_profile"]  # into which rclpy wrote what overrides it
        keeps_one = (kept.history, kept.depth) == (HistoryPolicy.KEEP_LAST, 1)
        self._heard.append(
            _Heard(subscription=subscription, callback=callback, keeps_one=keeps_one)
        )

    def look(self) -> None:
        """Take what has come."""
        for heard in list(self._heard):
            message = heard.newest()
            if message is None:
                continue
            try:
                heard.callback(message)
            except (ValueError, RuntimeError) as error:  # rclpy's, of bytes that are no message
                self._complain(f"{heard.subscription.topic_name}: {error}")

    def _complain(self, what: str) -> None:
        self._node.get_logger().warning(what, throttle_duration_sec=5.0)


def apart(node: Node, name: str) -> Node:
    """Make a hidden node beside another; names must be resolved by that."""
    return Node(
        f"_{node.get_name()}_{name}",
        context=node.context,
        namespace=node.get_namespace(),
        parameter_overrides=list(given_overrides(node).values()),
        use_global_arguments=False,
        start_parameter_services=False,
        enable_rosout=False,
    )
