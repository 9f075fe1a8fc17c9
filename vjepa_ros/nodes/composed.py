"""Nodes of the suite in one process, configured and activated.

    vjepa_composed encoder predictor planner   # latents stay on the device
    vjepa_composed encoder                     # one alone, with topics and services
    vjepa_composed arm_gate

`vjepa_encoder` and its sisters run one node and leave the transitions to a lifecycle manager
of your own.
"""

import argparse
import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import Executor, ExternalShutdownException, MultiThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args

from vjepa_ros.nodes.process import run_node

NODES = ("encoder", "predictor", "planner", "recorder", "arm_gate")
_THREADS = 8  # services and tasks block theirs


def make_nodes(names: Sequence[str], **options: Any) -> list[LifecycleNode]:
    """Those that share a process are given each other."""
    # Here, because torch takes seconds to load and the arm gate should not wait for models.
    from vjepa_ros.nodes.encoder import EncoderNode
    from vjepa_ros.nodes.planner import PlannerNode
    from vjepa_ros.nodes.predictor import PredictorNode
    from vjepa_ros.nodes.recorder import RecorderNode

    encoder = EncoderNode(**options) if "encoder" in names else None
    predictor = PredictorNode(encoder, **options) if "predictor" in names else None
    planner = PlannerNode(encoder, predictor, **options) if "planner" in names else None
    recorder = RecorderNode(**options) if "recorder" in names else None
    return [node for node in (encoder, predictor, planner, recorder) if node is not None]


def bring_up(node: LifecycleNode) -> LifecycleNode:
    """Configure and activate; a node that cannot has said why, and waits for a person."""
    if node.trigger_configure() == TransitionCallbackReturn.SUCCESS:
        node.trigger_activate()
    return node


def run_nodes(make: Callable[[], list[LifecycleNode]], *, active: bool) -> int:
    """Until a signal; 0, or 2 with one line for what the user can mend. A node that is not
    made active waits for the transitions of a lifecycle manager.
    """
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        nodes = make()
    except (InvalidParameterTypeException, InvalidParameterValueException) as error:
        print(error, file=sys.stderr)
        rclpy.try_shutdown()
        return 2
    executor = MultiThreadedExecutor(_THREADS)
    for node in nodes:
        executor.add_node(node)

    spinner = threading.Thread(target=spin, args=(executor,))
    spinner.start()
    for node in nodes if active else ():
        bring_up(node)
    while not ended.is_set() and spinner.is_alive():
        time.sleep(0.05)
    # In this order a task that is under way still gets the answers that it waits for.
    for node in reversed(nodes):
        node.trigger_shutdown()
    executor.shutdown(timeout_sec=2)
    spinner.join()
    for node in nodes:
        node.destroy_node()
    rclpy.try_shutdown()
    return 0 if ended.is_set() else 1


def spin(executor: Executor) -> None:
    """Until its shutdown, in a thread."""
    try:
        while True:
            # Cleanup destroys what the executor may just be looking at: it looks again.
            with contextlib.suppress(rclpy_implementation.InvalidHandle):
                executor.spin()
                return
    except ExternalShutdownException:
        return


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="vjepa_composed", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("nodes", nargs="+", choices=NODES, metavar="NODE", help=", ".join(NODES))
    names = parser.parse_args(remove_ros_args(sys.argv)[1:]).nodes
    if "arm_gate" in names and len(names) > 1:
        parser.error("the arm_gate runs in a process of its own: it must not wait for a model")
    if names == ["recorder"]:
        return run_node(lambda: bring_up(make_nodes(names)[0]))  # nothing waits: one thread does
    if names != ["arm_gate"]:
        return run_nodes(lambda: make_nodes(names), active=True)

    from vjepa_ros.nodes.arm_gate import ArmGate

    return run_node(lambda: bring_up(ArmGate()))


if __name__ == "__main__":
    sys.exit(main())
