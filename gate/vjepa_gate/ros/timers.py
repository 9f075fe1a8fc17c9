"""Timers that go on when the system clock is set."""

from collections.abc import Callable

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.timer import Timer


def steady_timer(node: Node, period: float, callback: Callable[[], None]) -> Timer:
    """One of the node's own clock stands still for as long as that was set back, or is lost."""
    return node.create_timer(period, callback, clock=Clock(clock_type=ClockType.STEADY_TIME))
