"""Topics that may come a thousand times a second, as often as they are needed.

An executor that calls Python for each message takes 0.1 ms for it, and rclpy up to 1 ms to convert
one: together more than a core. Here messages wait in the middleware's queue, are taken from it
as bytes, a few microseconds each, and those that are handed on are converted.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from rclpy.subscription import Subscription

from vjepa_gate.images import stamp_of
from vjepa_gate.robots import Topic
from vjepa_gate.ros.qos import given_overrides, of_topic, overridable
from vjepa_gate.ros.timers import steady_timer

_PERIOD = 0.01  # seconds between two looks
_QUEUE = 50  # messages: what comes at 1 kHz while a look is late


@dataclass(kw_only=True)
class _Heard:
    subscription: Subscription
    callback: Callable[[Any], None]
    spacing: float
    stamp: float = 0.0  # of the last that was handed on

    def next(self, serialized: bytes) -> Any:
        """The message, None where it comes too soon."""
        stamp = stamp_of(serialized)
        if stamp and 0 <= stamp - self.stamp < self.spacing:
            return None
        self.stamp = stamp
        return deserialize_message(serialized, self.subscription.msg_type)


class Thinned:
    """Subscriptions to messages that begin with a header."""

    def __init__(self, node: Node) -> None:
        self._node, self._heard = node, list[_Heard]()
        self._resources = ExitStack()
        # One that no executor serves, in the same participant.
        self._apart = apart(node, "hears")
        self._resources.callback(self._apart.destroy_node)
        timer = steady_timer(node, _PERIOD, self.look)
        self._resources.callback(node.destroy_timer, timer)

    def destroy(self) -> None:
        """Stop listening."""
        self._heard.clear()
        self._resources.close()

    def subscribe(
        self, kind: type, topic: Topic, callback: Callable[[Any], None], spacing: float
    ) -> None:
        """Hand on what is stamped so many seconds later than the last; what has no stamp, too."""
        name = self._node.resolve_topic_name(topic.name)
        profile = QoSProfile(
            depth=max(topic.depth, _QUEUE), reliability=of_topic(topic).reliability
        )
        how = overridable(self._node, topic.name, profile, "subscription")
        subscription = self._apart.create_subscription(kind, name, lambda _: None, raw=True, **how)
        self._heard.append(_Heard(subscription=subscription, callback=callback, spacing=spacing))

    def look(self) -> None:
        """Take what has come."""
        for heard in list(self._heard):
            handle, kind = heard.subscription.handle, heard.subscription.msg_type
            while (taken := handle.take_message(kind, True)) is not None:
                try:
                    message = heard.next(taken[0])
                except (ValueError, RuntimeError) as error:  # rclpy's, of bytes that are no message
                    self._complain(f"{heard.subscription.topic_name}: {error}")
                    continue
                if message is not None:
                    heard.callback(message)

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
