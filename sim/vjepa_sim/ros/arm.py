"""The arm's controller, as far as its topics show: crisp_controllers on a Franka.

It subscribes to `target_pose` and tracks the last one; the scene moves the arm there with
limited speed and force, however far it is. `error_recovery` stands for the action
/action_server/error_recovery (franka_msgs/action/ErrorRecovery) of franka_ros2.
"""

import math

from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.task import Future
from std_srvs.srv import Trigger

from vjepa_sim.faults import PREFIX, Faults
from vjepa_sim.ros.timing import as_nanoseconds
from vjepa_sim.ros.warner import Warner
from vjepa_sim.scene import Scene

_UNIT_NORM = 1e-3  # that a quaternion's norm may be off
_PATIENCE = 5.0  # seconds to wait for a target


class Arrivals:
    """Which target came last, for who waits for one in lock-step."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._newest = 0  # stamp in nanoseconds of the last target
        self._awaited: list[tuple[int, Future]] = []

    def note(self, stamp: Time) -> None:
        self._newest = as_nanoseconds(stamp)
        for wanted, arrival in self._awaited:
            if self._newest >= wanted:
                arrival.set_result(True)

    async def has_come(self, stamp: Time) -> bool:
        """Wait for a target with that stamp or a later one; False if none comes."""
        wanted = as_nanoseconds(stamp)
        if self._newest >= wanted:
            return True
        arrival = Future()
        self._awaited.append((wanted, arrival))
        timer = self._node.create_timer(
            _PATIENCE,
            lambda: arrival.set_result(False),
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )
        arrived = await arrival
        self._node.destroy_timer(timer)
        self._awaited.remove((wanted, arrival))
        return arrived


class Arm:
    def __init__(self, node: Node, scene: Scene, frame: str) -> None:
        self._node = node
        self._scene = scene
        self._frame = frame
        self._faults = Faults()
        self._warner = Warner(node, period=1.0)
        self.arrivals = Arrivals(node)
        self._targets = node.create_subscription(PoseStamped, "target_pose", self._take, 1)
        node.create_service(Trigger, "error_recovery", self._recover)

    def set_faults(self, faults: Faults) -> None:
        if faults.arm_reflex and not self._faults.arm_reflex:
            state = self._scene.state()
            self._scene.set_target(state.position, state.quaternion_xyzw)
        self._faults = faults

    def _take(self, target: PoseStamped) -> None:
        refusal = self._refusal() or objection(target, self._frame)
        if refusal:
            self._warner.warn(f"target_pose refused: {refusal}")
        else:
            position, turn = target.pose.position, target.pose.orientation
            self._scene.set_target(
                (position.x, position.y, position.z), (turn.x, turn.y, turn.z, turn.w)
            )
        self.arrivals.note(target.header.stamp)

    def _refusal(self) -> str:
        """Why no target at all is taken now, or nothing."""
        if self._faults.arm_reflex:
            return "the arm is in reflex; call error_recovery"
        if self._faults.controller_reject:
            return f"the controller rejects targets ({PREFIX}controller_reject)"
        return too_many_publishers(self._node, self._targets.topic_name)

    def _recover(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if not self._faults.arm_reflex:
            response.message = "nothing to recover from: the arm is not in reflex"
        else:
            self._node.set_parameters([Parameter(f"{PREFIX}arm_reflex", value=False)])
            response.message = "recovered: the arm holds its pose until a new target comes"
        response.success = True
        return response


def too_many_publishers(node: Node, topic: str) -> str:
    """Why what comes on a topic is not taken, or nothing."""
    publishers = node.count_publishers(topic)
    return f"{publishers} publishers, expected one" if publishers > 1 else ""


def objection(target: PoseStamped, frame: str) -> str:
    """What is wrong with a target pose, or nothing."""
    position, turn = target.pose.position, target.pose.orientation
    numbers = (position.x, position.y, position.z, turn.x, turn.y, turn.z, turn.w)
    if not all(map(math.isfinite, numbers)):
        return f"numbers are not finite: {', '.join(f'{number:g}' for number in numbers)}"
    if target.header.frame_id != frame:
        return f"frame {target.header.frame_id!r}, expected {frame!r}"
    norm = math.hypot(*numbers[3:])
    if abs(norm - 1) > _UNIT_NORM:
        return f"the quaternion's norm is {norm:g}, expected 1"
    return ""
