"""franka_gripper's node: its actions, its stop and its joint states.

`gripper_action` closes by a grasp with an epsilon of 5 mm, opens by a move, takes the position
of one finger, and tells, in feedback and result, the width between both.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from builtin_interfaces.msg import Time
from control_msgs.action import GripperCommand
from franka_msgs.action import Grasp, Homing, Move
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from vjepa_sim.faults import PREFIX, Faults
from vjepa_sim.fr3.description import FINGER_JOINTS
from vjepa_sim.fr3.hand import Command, Hand
from vjepa_sim.ros.timing import Rhythm

_NAME = "franka_gripper"
_STATE_RATE, _FEEDBACK_RATE = 15.0, 30.0  # Hz, of franka_gripper_node.yaml
_SPEED = 0.1  # m/s, its default_speed
_SAME = 1e-4  # metres of width at which gripper_action has nothing to do


@dataclass(kw_only=True)
class _Goal:
    handle: ServerGoalHandle
    kind: Any  # of action
    end: tuple[bool, str] = (False, "")  # success, and what went wrong


class Fr3Hand:
    def __init__(self, node: Node, hand: Hand, ticks: int) -> None:
        self._node, self._hand = node, hand
        self._refusing = False
        self._goals: dict[bytes, _Goal] = {}
        self._states = node.create_publisher(JointState, f"{_NAME}/joint_states", 1)
        self._state_due = Rhythm(_STATE_RATE, ticks)
        self._feedback_due = Rhythm(_FEEDBACK_RATE, ticks)
        self.rhythms = [self._state_due, self._feedback_due]
        node.create_service(Trigger, f"{_NAME}/stop", self._stop)
        self._servers = [
            self._serve(Homing, "homing", lambda _, ended: Command(kind="homing", ended=ended)),
            self._serve(Move, "move", _move),
            self._serve(Grasp, "grasp", _grasp),
            self._serve(GripperCommand, "gripper_action", self._gripper_command),
        ]

    def destroy(self) -> None:
        for server in self._servers:
            server.destroy()

    def set_faults(self, faults: Faults) -> None:
        self._refusing = faults.gripper_refuse
        if self._hand.limp != faults.gripper_slip:
            self._hand.limp = faults.gripper_slip
            self._hand.refresh()

    def publish(self, stamp: Time, tick: int) -> JointState | None:
        """The fingers' states, when they are due."""
        if self._feedback_due.beats(tick):
            for goal in self._goals.values():
                goal.handle.publish_feedback(_feedback(goal.kind, self._hand.width))
        if not self._state_due.beats(tick):
            return None
        half = self._hand.width / 2
        states = JointState(
            header=Header(stamp=stamp),
            name=list(FINGER_JOINTS),
            position=[half, half],
            velocity=[0.0, 0.0],
            effort=[0.0, 0.0],
        )
        self._states.publish(states)
        return states

    def _serve(self, kind: type, name: str, command: Callable[..., Command | None]) -> ActionServer:
        def start(handle: ServerGoalHandle) -> None:
            goal = self._goals[_key(handle)] = _Goal(handle=handle, kind=kind)

            def ended(success: bool, error: str = "") -> None:
                goal.end = success, error
                handle.execute()  # only now: rclpy polls what waits in a callback

            given = command(handle.request, ended)
            if given is not None:
                self._hand.start(given)

        return ActionServer(
            self._node,
            kind,
            f"{_NAME}/{name}",
            execute_callback=self._finish,
            goal_callback=self._judge,
            handle_accepted_callback=start,
            cancel_callback=self._cancel,
        )

    def _judge(self, _: Any) -> GoalResponse:
        if self._refusing:
            self._node.get_logger().warning(f"hand's goal rejected ({PREFIX}gripper_refuse)")
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _gripper_command(
        self, goal: GripperCommand.Goal, ended: Callable[[bool, str], None]
    ) -> Command | None:
        width = 2 * goal.command.position
        if not 0 <= width <= self._hand.max_width:
            most = self._hand.max_width
            ended(False, f"Commanding out of range width! max_width = {most:f} command = {width:f}")
        elif abs(width - self._hand.width) < _SAME:
            ended(True, "")
        elif width >= self._hand.width:
            return Command(kind="move", ended=ended, width=width, speed=_SPEED)
        else:
            force = goal.command.max_effort
            return Command(kind="grasp", ended=ended, width=width, speed=_SPEED, force=force)
        return None

    def _cancel(self, _: ServerGoalHandle) -> CancelResponse:
        self._hand.stop()
        return CancelResponse.ACCEPT

    def _finish(self, handle: ServerGoalHandle) -> Any:
        goal = self._goals.pop(_key(handle))
        success, error = goal.end
        if error:
            self._node.get_logger().error(error)
        if handle.is_cancel_requested:
            handle.canceled()
        elif success:
            handle.succeed()
        else:
            handle.abort()
        if goal.kind is GripperCommand:
            return GripperCommand.Result(position=self._hand.width, reached_goal=success)
        return goal.kind.Result(success=success, error=error)

    def _stop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._hand.stop()
        response.success = True
        return response


def _move(goal: Move.Goal, ended: Callable[[bool, str], None]) -> Command:
    return Command(kind="move", ended=ended, width=goal.width, speed=goal.speed)


def _grasp(goal: Grasp.Goal, ended: Callable[[bool, str], None]) -> Command:
    return Command(
        kind="grasp",
        ended=ended,
        width=goal.width,
        speed=goal.speed,
        force=goal.force,
        inner=goal.epsilon.inner,
        outer=goal.epsilon.outer,
    )


def _feedback(kind: Any, width: float) -> Any:
    if kind is GripperCommand:
        return GripperCommand.Feedback(position=width)
    return kind.Feedback(current_width=width)


def _key(handle: ServerGoalHandle) -> bytes:
    return bytes(handle.goal_id.uuid)
