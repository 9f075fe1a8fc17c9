"""The hand's actions: sends the goals of the gate's hand, and tells what became of each."""

from collections.abc import Callable
from typing import Any, Protocol

from action_msgs.msg import GoalStatus
from control_msgs.action import GripperCommand
from rclpy.action import ActionClient
from rclpy.node import Node
from std_srvs.srv import Trigger

from vjepa_gate.errors import UserError
from vjepa_gate.hand import HandGoal, HandResult, Outcome
from vjepa_gate.robots import Gripper

_OUTCOMES: dict[int, Outcome] = {
    GoalStatus.STATUS_SUCCEEDED: "succeeded",
    GoalStatus.STATUS_CANCELED: "canceled",
}
Tell = Callable[[HandGoal, HandResult], None]


class HandClient(Protocol):
    """Carries goals to a hand's action servers."""

    def send(self, goal: HandGoal) -> None:
        """Send a goal, and tell what becomes of it."""

    def ready(self) -> bool:
        """Whether the hand's servers were found."""

    def destroy(self) -> None:
        """Give back the action clients."""


def make_hand_client(node: Node, gripper: Gripper, tell: Tell) -> HandClient:
    """Make the client for the kind of hand that the robot's file names."""
    if gripper.kind == "franka_hand":
        return FrankaHandClient(node, gripper, tell)
    return GripperCommandClient(node, gripper, tell)


class _Action:
    """One action of the hand."""

    def __init__(self, node: Node, kind: Any, name: str, tell: Tell) -> None:
        self._client, self._name, self._tell = ActionClient(node, kind, name), name, tell

    def ready(self) -> bool:
        return self._client.server_is_ready()

    def destroy(self) -> None:
        self._client.destroy()

    def send(self, goal: HandGoal, message: Any) -> None:
        if not self.ready():
            why = f"no action server {self._name}"
            self._tell(goal, HandResult(outcome="refused", why=why))
            return
        sent = self._client.send_goal_async(message)
        sent.add_done_callback(lambda answer: self._on_answer(goal, answer.result()))

    def _on_answer(self, goal: HandGoal, answer: Any) -> None:
        if answer.accepted:
            ended = answer.get_result_async()
            ended.add_done_callback(lambda result: self._on_result(goal, result.result()))
        else:
            self._tell(goal, HandResult(outcome="refused"))

    def _on_result(self, goal: HandGoal, ended: Any) -> None:
        result = ended.result
        good = getattr(result, "success", True)
        outcome: Outcome = _OUTCOMES.get(ended.status, "aborted") if good else "aborted"
        stalled = getattr(result, "stalled", False) and not getattr(result, "reached_goal", False)
        why = getattr(result, "error", "")
        self._tell(goal, HandResult(outcome=outcome, stalled=stalled, why=why))


class GripperCommandClient:
    """A control_msgs/GripperCommand server."""

    def __init__(self, node: Node, gripper: Gripper, tell: Tell) -> None:
        self._gripper = gripper
        self._action = _Action(node, GripperCommand, gripper.action, tell)
        self.ready, self.destroy = self._action.ready, self._action.destroy

    def send(self, goal: HandGoal) -> None:
        """Send a goal, and tell what becomes of it."""
        message = GripperCommand.Goal()
        message.command.position = self._gripper.command(goal.width)
        message.command.max_effort = self._gripper.force
        self._action.send(goal, message)


class FrankaHandClient:
    """franka_gripper's own actions and its stop."""

    def __init__(self, node: Node, gripper: Gripper, tell: Tell) -> None:
        try:
            from franka_msgs.action import Grasp, Homing, Move
        except ImportError as error:
            raise UserError(
                "gripper.kind is franka_hand, and franka_msgs is not installed: install "
                "ros-$ROS_DISTRO-franka-msgs or build franka_ros2, or use gripper_command"
            ) from error
        self._node, self._gripper = node, gripper
        self._newest: HandGoal | None = None
        self._grasp_goal, self._move_goal = Grasp.Goal, Move.Goal
        self._grasp = _Action(node, Grasp, f"{gripper.action}/grasp", tell)
        self._move = _Action(node, Move, f"{gripper.action}/move", tell)
        self._home_goal = Homing.Goal
        self._home = _Action(node, Homing, f"{gripper.action}/homing", tell)
        self._stop = node.create_client(Trigger, f"{gripper.action}/stop")

    def ready(self) -> bool:
        """Whether the hand's servers were found."""
        return all(action.ready() for action in (self._grasp, self._move, self._home))

    def destroy(self) -> None:
        """Give back the action clients."""
        self._grasp.destroy()
        self._move.destroy()
        self._home.destroy()
        self._node.destroy_client(self._stop)

    def send(self, goal: HandGoal) -> None:
        """Send a goal, and tell what becomes of it."""
        self._newest = goal
        if goal.stop_first and self._stop.service_is_ready():
            stopped = self._stop.call_async(Trigger.Request())
            stopped.add_done_callback(lambda _: self._start(goal))
        else:
            self._start(goal)

    def _start(self, goal: HandGoal) -> None:
        if goal is not self._newest:
            return
        if goal.kind == "home":
            self._home.send(goal, self._home_goal())
            return
        if goal.kind == "open":
            self._move.send(goal, self._move_goal(width=goal.width, speed=self._gripper.speed))
            return
        message = self._grasp_goal(
            width=goal.width, speed=self._gripper.speed, force=self._gripper.force
        )
        message.epsilon.inner = message.epsilon.outer = self._gripper.epsilon
        self._grasp.send(goal, message)
