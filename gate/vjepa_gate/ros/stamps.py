"""ROS stamps and seconds."""

from builtin_interfaces.msg import Time
from rclpy.node import Node


def seconds(stamp: Time) -> float:
    """Turn a stamp into seconds."""
    return stamp.sec + 1e-9 * stamp.nanosec


def now(node: Node) -> float:
    """Give the time of the node's clock, in seconds."""
    clock = node.get_clock().handle
    with clock:
        return 1e-9 * clock.get_now().nanoseconds
