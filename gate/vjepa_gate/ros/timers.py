"""Timers that go on when the system clock is set."""

from collections.abc import Callable

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.timer import Timer


def steady_timer(node: Node, period: float, callback: Callable[[], None]) -> Timer:
    """One of the node's own clock stands still for as long as that was set back, or is lost.

    Each has a clock, and with it a thread of the executor's, of its own: where timers share one,
    rclpy 7.1.6 may serve none of them any more once another is made.
    """
    return node.create_timer(period, callback, clock=Clock(clock_type=ClockType.STEADY_TIME))
