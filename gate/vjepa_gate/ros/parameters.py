"""Parameters with a range: a value outside is refused, and the range is named."""

from typing import Any

from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from rclpy.node import Node


def declare_number(
    node: Node, name: str, default: float, low: float, high: float, description: str
) -> None:
    bounds = FloatingPointRange(from_value=float(low), to_value=float(high))
    descriptor = ParameterDescriptor(description=description, floating_point_range=[bounds])
    node.declare_parameter(name, float(default), descriptor)


def declare(node: Node, name: str, default: Any, description: str) -> None:
    node.declare_parameter(name, default, ParameterDescriptor(description=description))
