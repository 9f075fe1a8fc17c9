"""Asks the planner's node for goals, as its tests do, and keeps what it says."""

from nav_msgs.msg import Path
from rclpy.action import ActionClient
from sensor_msgs.msg import CompressedImage
from visualization_msgs.msg import MarkerArray
from vjepa_msgs.action import ReachGoal
from vjepa_msgs.msg import EndEffectorDelta, Plan

from vjepa_gate.ros.spinning import ask
from vjepa_ros.images import encode_png
from vjepa_ros.nodes.qos import GOALS

PATIENCE = 120  # seconds; a machine may be slow
SEARCH = {
    "planner": "plain",
    "samples": 16,
    "iterations": 2,
    "horizon": 2,
    "settle": 0.0,
    "max_image_age": 20.0,
}
Result = ReachGoal.Result


class Client:
    """Asks for goals, and keeps all that the planner says."""

    def __init__(self, bench, camera, picture):
        self.bench, self.picture = bench, picture
        self.feedback, self.deltas, self.plans, self.paths, self.markers = [], [], [], [], []
        node = bench.node
        self.action = ActionClient(node, ReachGoal, "reach_goal")
        for kind, topic, inbox in (
            (EndEffectorDelta, "ee_delta", self.deltas),
            (Plan, "plan", self.plans),
            (Path, "plan/path", self.paths),
            (MarkerArray, "plan/markers", self.markers),
        ):
            node.create_subscription(kind, topic, inbox.append, 10)
        self.goals = []
        node.create_subscription(
            CompressedImage, "goal_picture/compressed", self.goals.append, GOALS
        )
        camera.stream(picture(1))

    def ask(self, *goal_seeds, **fields):
        pngs = [
            CompressedImage(format="png", data=encode_png(self.picture(seed)))
            for seed in goal_seeds or (2,)
        ]
        goal = ReachGoal.Goal(
            **({"images": pngs, "max_steps": 2, "energy_threshold": 1e-6} | fields)
        )
        assert self.action.wait_for_server(PATIENCE)
        keep = lambda message: self.feedback.append(message.feedback)  # noqa: E731
        return ask(self.bench.node, self.action.send_goal_async, goal, keep, timeout=PATIENCE)

    def result(self, handle):
        answer = ask(self.bench.node, handle.get_result_async, timeout=PATIENCE)
        return answer.status, answer.result
