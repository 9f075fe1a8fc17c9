"""Threads that serve nodes: of the suite's processes, and of commands and tests."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from rclpy.context import Context
from rclpy.executors import Executor, ExternalShutdownException
from rclpy.experimental.events_executor import EventsExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.task import Future

# With no limit at all the EventsExecutor of rclpy 7.1.6 does not sleep: its end of time
# overflows, and it keeps everybody out of its queue while it looks at the clock.
_TURN = 0.2  # seconds


@contextlib.contextmanager
def spinning(*nodes: Node, executor: Executor | None = None) -> Iterator[threading.Thread]:
    """The thread that serves nodes of one context; after it their callbacks run no more.

    It runs one callback at a time, as events tell it to. rclpy's other executors build a wait
    set of every entity anew for each few messages: for three nodes that hear a robot's poses
    this takes half a core and Python's lock, which the planner's tensor operations need.
    """
    executor = executor or EventsExecutor(context=nodes[0].context)
    for node in nodes:
        executor.add_node(node)
    ended = threading.Event()
    thread = threading.Thread(target=_spin, args=(executor, ended), name="executor")
    thread.start()
    try:
        yield thread
    finally:
        # A thread that still spins when the interpreter ends aborts the process.
        ended.set()
        executor.wake()
        thread.join()
        executor.shutdown(timeout_sec=2)


def _spin(executor: Executor, ended: threading.Event) -> None:
    while not ended.is_set():
        try:
            executor.spin_once(timeout_sec=_TURN)
        except ExternalShutdownException:
            return
        except rclpy_implementation.InvalidHandle:
            continue  # cleanup destroyed what the executor was just looking at
        except rclpy_implementation.RCLError as error:
            # How rclpy takes a transition that does not exist now.
            get_logger("executor").error(f"refused: {error}")


@contextlib.contextmanager
def spinning_node(name: str, **options: Any) -> Iterator[Node]:
    """A node with a context, hence a DDS participant, of its own, served by a thread."""
    context = Context()
    context.init()
    node = Node(name, context=context, **options)
    try:
        with spinning(node):
            yield node
    finally:
        node.destroy_node()
        context.try_shutdown()


def send(node: Node, request: Callable[..., Future], *arguments: Any, timeout: float) -> Future:
    """The future of a request of an action client, which the spinning thread sends.

    Sent by another thread, rclpy 7.1.6 takes an answer that comes before the request is noted
    for one to nobody, and waits for ever.
    """
    assert node.executor is not None
    return wait_for(node.executor.create_task(request, *arguments), timeout)


def ask(node: Node, request: Callable[..., Future], *arguments: Any, timeout: float) -> Any:
    """The answer to a request of an action client, which the spinning thread sends."""
    return wait_for(send(node, request, *arguments, timeout=timeout), timeout)


def wait_for(future: Future, timeout: float) -> Any:
    """The result of a future that the spinning thread completes; TimeoutError if it does not."""
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    if not done.wait(timeout):
        raise TimeoutError(f"no answer within {timeout:g} s")
    return future.result()
