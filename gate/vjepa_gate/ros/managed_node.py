"""A lifecycle node that says why it cannot start, how it is, and gives back what it took."""

import traceback
from contextlib import ExitStack
from typing import Any, TypeVar

from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from vjepa_gate.errors import UserError
from vjepa_gate.ros.bond import Bond
from vjepa_gate.ros.diagnostics import Diagnostics
from vjepa_gate.ros.memory import memory
from vjepa_gate.ros.qos import overridable
from vjepa_gate.settings import make, read_parameters
from vjepa_gate.status import Status

T = TypeVar("T")

_SUCCESS, _FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class ManagedNode(LifecycleNode):
    """configure calls `set_up`, activate `start`, deactivate `stop`; cleanup gives back all
    that was put on `resources`.

    What the user can mend is raised as UserError or ValueError: the transition then fails,
    and one line of the log says why.
    """

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.resources = ExitStack()
        self.active = False
        self._configured = False
        self._failure = ""  # of the last configure
        self._bond: Bond | None = None
        about = "tell nav2's lifecycle manager that it lives, while it is active"
        self.declare_parameter("bond", False, ParameterDescriptor(description=about))
        self.add_on_set_parameters_callback(self._refuse_late_changes)
        self._diagnostics = Diagnostics(self, self._status)

    def set_up(self) -> None:
        """Read parameters and make what configure needs; raises ValueError or UserError."""
        raise NotImplementedError

    def start(self) -> None:
        """Begin the work of an active node."""

    def stop(self) -> None:
        """End it; returns when nothing moves any more."""

    def status(self) -> Status:
        """Of an active node."""
        raise NotImplementedError

    def memory(self) -> dict[str, str]:
        """Of the process, to tell while the node is not active."""
        return memory()

    def settings(self, kind: type[T]) -> T:
        """As the parameters have them now."""
        return make(kind, read_parameters(kind, self))

    # --- lifecycle -----------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Set up; what fails is told in a line."""
        try:
            self.set_up()
        except (UserError, ValueError, OSError) as error:
            self._failure = f"cannot be configured: {error}"
            self.get_logger().error(self._failure)
            self.tear_down()
            return _FAILURE
        except Exception:  # rclpy makes an error of the transition, and says nothing
            self.get_logger().error(f"cannot be configured:\n{traceback.format_exc()}")
            raise
        self._failure, self._configured = "", True
        return _SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin the work."""
        self.active = True
        self.start()
        self._begin_bond()
        return _SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End the work."""
        self._end_work()
        return _SUCCESS

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give back what configure took."""
        self.tear_down()
        return _SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End the work and give all back."""
        self._end_work()
        self.tear_down()
        return _SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Do as for a shutdown."""
        return self.on_shutdown(state)

    def _begin_bond(self) -> None:
        if not self.get_parameter("bond").value:
            return
        try:
            self._bond = Bond(self)
        except ImportError:
            self.get_logger().warning(
                "bond is not installed (ros-$ROS_DISTRO-bond): none is made, and a lifecycle "
                "manager must have bond_timeout 0"
            )

    def _end_work(self) -> None:
        if self._bond is not None:
            self._bond.destroy()
            self._bond = None
        if self.active:
            self.active = False
            self.stop()

    def tear_down(self) -> None:
        """Give back what set_up made."""
        self.resources.close()
        self._configured = False

    def _refuse_late_changes(self, parameters: list[Parameter]) -> SetParametersResult:
        if not self._configured or all(p.name == "use_sim_time" for p in parameters):
            return SetParametersResult(successful=True)
        reason = f"{parameters[0].name} is read by configure: clean up, set it, configure again"
        return SetParametersResult(successful=False, reason=reason)

    def _status(self) -> Status:
        if self._failure:
            return Status(level="error", message=self._failure, values=self.memory())
        if not self.active:
            return Status(level="warning", message="not active", values=self.memory())
        return self.status()

    # --- what set_up makes, given back by cleanup ------------------------------------------

    def subscribe(self, kind: type, topic: str, callback: Any, profile: Any, **how: Any) -> None:
        """Subscribe until cleanup."""
        how |= overridable(self, topic, profile, "subscription")
        subscription = self.create_subscription(kind, topic, callback, **how)
        self.resources.callback(self.destroy_subscription, subscription)

    def publisher(self, kind: type, topic: str, profile: Any) -> Any:
        """Make a publisher that lives until cleanup."""
        publisher = self.create_publisher(
            kind, topic, **overridable(self, topic, profile, "publisher")
        )
        self.resources.callback(self.destroy_publisher, publisher)
        return publisher

    def serve(self, kind: type, name: str, callback: Any, **how: Any) -> None:
        """Serve until cleanup."""
        service = self.create_service(kind, name, callback, **how)
        self.resources.callback(self.destroy_service, service)
