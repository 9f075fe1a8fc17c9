"""ROS stamps and seconds."""

from builtin_interfaces.msg import Time
from rclpy.node import Node


def seconds(stamp: Time) -> float:
    """Turn a stamp into seconds."""
    return stamp.sec + 1e-9 * stamp.nanosec


def now(node: Node) -> float:
    """Give the time of the node's clock, in seconds."""
    return 1e-9 * node.get_clock().now().nanoseconds
