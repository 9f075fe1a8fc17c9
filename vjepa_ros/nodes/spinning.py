"""A node for programs that are none: commands, tests, scripts that ask the graph."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.task import Future


@contextlib.contextmanager
def spinning_node(name: str, **options: Any) -> Iterator[Node]:
    """A node that a thread spins, with a context, hence a DDS participant, of its own."""
    context = Context()
    context.init()
    node = Node(name, context=context, **options)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def spin() -> None:
        with contextlib.suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        yield node
    finally:
        # A thread that still spins when the interpreter ends aborts the process.
        executor.shutdown(timeout_sec=2)
        thread.join()
        node.destroy_node()
        context.try_shutdown()


def wait_for(future: Future, timeout: float) -> Any:
    """The result of a future that the spinning thread completes; TimeoutError if it does not."""
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    if not done.wait(timeout):
        raise TimeoutError(f"no answer within {timeout:g} s")
    return future.result()
