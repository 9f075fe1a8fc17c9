"""The other process of test_interfaces.py: a publisher, a service and an action server."""

import array
import contextlib
import time

import numpy as np
import rclpy
from rclpy.action import ActionServer, CancelResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node
from vjepa_msgs.action import ReachGoal
from vjepa_msgs.msg import Latent
from vjepa_msgs.srv import ScoreActions


class Peer(Node):
    def __init__(self) -> None:
        super().__init__("peer")
        group = ReentrantCallbackGroup()
        self.latents = self.create_publisher(Latent, "latent", 1)
        self.create_timer(0.1, self.publish_latent)
        self.create_service(ScoreActions, "score_actions", self.score, callback_group=group)
        self.server = ActionServer(
            self,
            ReachGoal,
            "reach_goal",
            self.reach,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
            callback_group=group,
        )

    def publish_latent(self) -> None:
        latent = Latent(source="camera", weights="tiny-0123", crop="square", rows=2, cols=3)
        latent.header.stamp.sec = 42
        latent.width, latent.element_type = 4, Latent.FLOAT32
        latent.data = array.array("B", np.arange(24, dtype="<f4").tobytes())
        self.latents.publish(latent)

    def score(self, request, response):
        actions = np.asarray(request.actions).reshape(request.samples, request.horizon, 7)
        response.energies = array.array("f", np.abs(actions).sum((1, 2)).tolist())
        response.success, response.image_stamp = True, request.image_stamp
        return response

    def reach(self, goal):
        result = ReachGoal.Result()
        for step in range(1, goal.request.max_steps + 1):
            if goal.is_cancel_requested:
                goal.canceled()
                result.outcome, result.steps = ReachGoal.Result.CANCELED, step - 1
                return result
            goal.publish_feedback(ReachGoal.Feedback(step=step, energy=1.0 / step))
            time.sleep(0.02)
        goal.succeed()
        result.outcome, result.steps = ReachGoal.Result.REACHED, goal.request.max_steps
        result.message = f"reached {goal.request.files[-1]}"
        return result


rclpy.init()
executor = MultiThreadedExecutor()
peer = Peer()
executor.add_node(peer)
with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
    executor.spin()
peer.destroy_node()
rclpy.try_shutdown()
