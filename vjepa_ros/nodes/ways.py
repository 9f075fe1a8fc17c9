"""The way to a picture, shown before the arm moves; and a yes to it, where that is asked for."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage
from std_srvs.srv import Trigger
from vjepa_msgs.action import ReachGoal

from vjepa_ros.nodes.model_node import ModelNode
from vjepa_ros.nodes.plan_messages import WAYS, goal_message
from vjepa_ros.nodes.qos import GOALS
from vjepa_ros.planning.subgoals.sheet import sheet, summary
from vjepa_ros.planning.subgoals.way_planner import WayTask
from vjepa_ros.planning.task import Task

_APPROVE = "~/approve"
_POLL = 0.2  # seconds between two looks at whether a task that waits for a yes has ended


class Ways:
    """`way/compressed` and the service `~/approve` of the planner's node."""

    def __init__(self, node: ModelNode, *, approve: bool) -> None:
        self._node, self._approve = node, approve
        self._approved = threading.Event()
        self._pictures = node.publisher(CompressedImage, WAYS, GOALS)
        node.serve_apart(Trigger, _APPROVE, self._on_yes)

    def shown(
        self,
        task: Task,
        goals: Sequence[NDArray[np.uint8]],
        check: Callable[[], None],
        tell: Callable[[Any], None],
    ) -> Task:
        """The task, once its way is shown and somebody has said yes to it, if that is asked for.

        `check` raises where the task has ended meanwhile, `tell` takes feedback.
        """
        self._approved.clear()
        self.show(task, goals)
        if self._approve:
            service = self._node.resolve_service_name(_APPROVE)
            tell(ReachGoal.Feedback(message=f"waiting for a yes: call {service}"))
            while not self._approved.wait(_POLL):
                check()
        return task

    def show(self, task: Task, goals: Sequence[NDArray[np.uint8]]) -> None:
        """The way that a task goes to the picture it heads for, if it goes one."""
        if isinstance(task, WayTask):
            stamp = self._node.get_clock().now().to_msg()
            picture = sheet(task.explanation, goals[task.pursuit.number])
            self._pictures.publish(goal_message(picture, stamp, "the way"))
            self._node.get_logger().info(summary(task.explanation))

    def _on_yes(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._approved.set()
        response.success = True
        return response
