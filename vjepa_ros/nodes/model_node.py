"""A lifecycle node that says why it cannot start, how it is, and gives back what it took."""

from contextlib import ExitStack
from typing import Any

from rcl_interfaces.msg import IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter

from vjepa_ros.errors import UserError
from vjepa_ros.nodes.diagnostics import Diagnostics
from vjepa_ros.nodes.health import memory
from vjepa_ros.nodes.spinning import spinning
from vjepa_ros.status import Status

_SUCCESS, _FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class ModelNode(LifecycleNode):
    """configure calls `set_up`, activate `start`, deactivate `stop`; cleanup gives back all
    that was put on `resources`, and what the class lists in `holds`.

    What the user can mend is raised as UserError or ValueError: the transition then fails,
    and one line of the log says why.
    """

    holds: tuple[str, ...] = ()  # attributes that keep memory

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.resources = ExitStack()
        self.active = False
        self._configured = False
        self._failure = ""  # of the last configure
        self.add_on_set_parameters_callback(self._refuse_late_changes)
        self._diagnostics = Diagnostics(self, self._status)

    def set_up(self) -> None:
        raise NotImplementedError

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def status(self) -> Status:
        """Of an active node."""
        raise NotImplementedError

    def value(self, parameter: str) -> Any:
        return self.get_parameter(parameter).value

    # --- lifecycle -----------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            self.set_up()
        except (UserError, ValueError, OSError) as error:
            self._failure = f"cannot be configured: {error}"
            self.get_logger().error(self._failure)
            self._tear_down()
            return _FAILURE
        self._failure, self._configured = "", True
        return _SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.active = True
        self.start()
        return _SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._end_work()
        return _SUCCESS

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._tear_down()
        return _SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._end_work()
        self._tear_down()
        return _SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self.on_shutdown(state)

    def _end_work(self) -> None:
        if self.active:
            self.active = False
            self.stop()

    def _tear_down(self) -> None:
        self.resources.close()
        self._configured = False
        for attribute in self.holds:
            self.__dict__.pop(attribute, None)

    def _refuse_late_changes(self, parameters: list[Parameter]) -> SetParametersResult:
        if not self._configured or all(p.name == "use_sim_time" for p in parameters):
            return SetParametersResult(successful=True)
        reason = f"{parameters[0].name} is read by configure: clean up, set it, configure again"
        return SetParametersResult(successful=False, reason=reason)

    def _status(self) -> Status:
        if self._failure:
            return Status(level="error", message=self._failure, values=memory())
        if not self.active:
            return Status(level="warning", message="not active", values=memory())
        return self.status()

    # --- what set_up makes, given back by cleanup ------------------------------------------

    def subscribe(self, kind: type, topic: str, callback: Any, profile: Any, **how: Any) -> None:
        subscription = self.create_subscription(kind, topic, callback, profile, **how)
        self.resources.callback(self.destroy_subscription, subscription)

    def publisher(self, kind: type, topic: str, profile: Any) -> Any:
        publisher = self.create_publisher(kind, topic, profile)
        self.resources.callback(self.destroy_publisher, publisher)
        return publisher

    def serve(self, kind: type, name: str, callback: Any, **how: Any) -> None:
        service = self.create_service(kind, name, callback, **how)
        self.resources.callback(self.destroy_service, service)

    def serve_apart(self, kind: type, name: str, callback: Any) -> None:
        """In a thread of its own: the callback may take its time, and wait for messages."""
        node = self.node_apart(name)
        node.create_service(kind, self.resolve_service_name(name), callback)
        self.resources.enter_context(spinning(node))

    def node_apart(self, name: str) -> Node:
        """A hidden one, as callbacks of one node all run in the same thread."""
        node = Node(
            f"_{self.get_name()}_{name}",
            context=self.context,
            namespace=self.get_namespace(),
            use_global_arguments=False,
            start_parameter_services=False,
            enable_rosout=False,
        )
        self.resources.callback(node.destroy_node)
        return node

    def client(self, kind: type, name: str, **how: Any) -> Any:
        client = self.create_client(kind, name, **how)
        self.resources.callback(self.destroy_client, client)
        return client


def declare_count(
    node: Node, name: str, default: int, low: int, high: int, description: str
) -> None:
    bounds = IntegerRange(from_value=low, to_value=high, step=1)
    descriptor = ParameterDescriptor(description=description, integer_range=[bounds])
    node.declare_parameter(name, default, descriptor)
