"""A lifecycle node as a process: it ends with 0 on SIGINT and SIGTERM, and with one line
and 2 on what the user can mend."""

import signal
import sys
from collections.abc import Callable

import rclpy
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode
from rclpy.signals import SignalHandlerOptions

from vjepa_ros.errors import UserError

RCLError = rclpy_implementation.RCLError


def run_node(make: Callable[[], LifecycleNode], arguments: list[str] | None = None) -> int:
    # With rclpy's own handlers the context is dead before a node can end its work.
    rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    ended: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: ended.append(received))
    try:
        node = make()
    except (UserError, InvalidParameterTypeException, InvalidParameterValueException) as error:
        print(error, file=sys.stderr)
        rclpy.try_shutdown()
        return 2
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while not ended:
        try:
            executor.spin_once(timeout_sec=0.1)
        except RCLError as error:  # how rclpy takes a transition that does not exist now
            node.get_logger().error(f"refused: {error}")
    node.trigger_shutdown()
    executor.shutdown(timeout_sec=2)
    node.destroy_node()
    rclpy.try_shutdown()
    return 0
