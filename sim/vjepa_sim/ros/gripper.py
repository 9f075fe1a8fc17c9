"""The hand: control_msgs/action/GripperCommand as franka_gripper takes it.

position is the travel of ONE finger in metres, half the width between them: 0 closed, 0.04
open; anything else is aborted. max_effort in newtons; 0 means the hand's usual 40 N.

A goal succeeds when the fingers are there (reached_goal) or when something between them has
stopped them (stalled), and they go on pressing. franka_gripper itself aborts the second,
unless its default_grasp_epsilon is as wide as the object, as for grasping it must be set.
A new goal takes over from the one before it, which is aborted; cancelling stops the fingers.
"""

import math
from dataclasses import dataclass

from control_msgs.action import GripperCommand
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node
from rclpy.task import Future

from vjepa_sim.faults import PREFIX, Faults
from vjepa_sim.robot import RobotState
from vjepa_sim.scene import Scene

USUAL_FORCE = 40.0  # N
MAX_FORCE = 140.0  # N
_SLIPPING_FORCE = 0.02  # N: moves the fingers and holds nothing
_ARRIVED = 1e-3  # metres of width
_MOVING = 5e-4  # metres of width in which the fingers count as standing still …
_STALLED = 0.15  # … after so many simulated seconds


@dataclass(kw_only=True)
class _Goal:
    handle: ServerGoalHandle
    width: float  # metres
    force: float  # newtons
    last_width: float = math.nan  # where the fingers were seen to move, and when
    last_moved: float = 0.0


class Gripper:
    def __init__(self, node: Node, scene: Scene) -> None:
        self._node = node
        self._scene = scene
        self._faults = Faults()
        self._goal: _Goal | None = None
        self._ends: dict[bytes, Future] = {}  # by goal: how it ends, and its result
        self._width, self._force = scene.robot.max_width, USUAL_FORCE
        self._server = ActionServer(
            node,
            GripperCommand,
            "gripper_action",
            execute_callback=self._finish,
            goal_callback=self._judge,
            handle_accepted_callback=self._start,
            cancel_callback=self._cancel,
        )

    def destroy(self) -> None:
        self._server.destroy()

    def set_faults(self, faults: Faults) -> None:
        self._faults = faults
        self._command(self._width, self._force)

    def reset(self) -> None:
        """The scene was built anew, with its own start for the fingers."""
        self._end("abort")
        robot = self._scene.robot
        self._command(robot.target_width, robot.target_force)

    def update(self, state: RobotState, now: float) -> None:
        """Look at the fingers; now is simulated seconds."""
        goal = self._goal
        if goal is None:
            return
        if not abs(state.width - goal.last_width) < _MOVING:
            goal.last_width, goal.last_moved = state.width, now
        goal.handle.publish_feedback(GripperCommand.Feedback(position=state.width / 2))
        if abs(state.width - goal.width) < _ARRIVED:
            self._end("succeed", reached_goal=True)
        elif now - goal.last_moved > _STALLED:
            self._end("succeed", stalled=True, effort=goal.force)

    def _judge(self, _: GripperCommand.Goal) -> GoalResponse:
        if self._faults.gripper_refuse:
            self._node.get_logger().warning(f"gripper goal rejected ({PREFIX}gripper_refuse)")
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _start(self, handle: ServerGoalHandle) -> None:
        """At acceptance, so that a client that has been accepted knows the hand is moving."""
        self._end("abort")
        command = handle.request.command
        goal = _Goal(handle=handle, width=2 * command.position, force=command.max_effort)
        goal.force = goal.force or USUAL_FORCE
        self._goal, self._ends[_key(handle)] = goal, Future()
        handle.execute()
        refusal = objection(goal.width, goal.force, self._scene.robot.max_width)
        if refusal:
            self._node.get_logger().warning(f"gripper goal aborted: {refusal}")
            self._end("abort")
        else:
            self._command(goal.width, goal.force)

    def _cancel(self, handle: ServerGoalHandle) -> CancelResponse:
        if self._goal is not None and self._goal.handle is handle:
            self._command(self._scene.state().width, self._force)
            self._end("canceled")
        return CancelResponse.ACCEPT

    def _command(self, width: float, force: float) -> None:
        self._width, self._force = width, force
        slips = self._faults.gripper_slip
        self._scene.set_gripper(width, _SLIPPING_FORCE if slips else force)

    def _end(self, how: str, **result: bool | float) -> None:
        """End the goal in progress: how is "succeed", "abort" or "canceled"."""
        if self._goal is not None:
            position = self._scene.state().width / 2
            outcome = GripperCommand.Result(position=position, **result)
            self._ends[_key(self._goal.handle)].set_result((how, outcome))
            self._goal = None

    async def _finish(self, handle: ServerGoalHandle) -> GripperCommand.Result:
        how, result = await self._ends[_key(handle)]
        del self._ends[_key(handle)]
        getattr(handle, how)()
        return result


def objection(width: float, force: float, max_width: float) -> str:
    """What is wrong with a command, or nothing."""
    if not 0 <= width <= max_width:
        return f"position {width / 2:g} m, expected 0 to {max_width / 2:g} for each finger"
    if not 0 < force <= MAX_FORCE:
        return f"max_effort {force:g} N, expected 0 to {MAX_FORCE:g}"
    return ""


def _key(handle: ServerGoalHandle) -> bytes:
    return bytes(handle.goal_id.uuid)
