"""The planner's node and a policy behind a real websocket."""

import threading
import time

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.action import ActionClient
from sensor_msgs.msg import CompressedImage
from vjepa_msgs.action import ReachGoal
from vjepa_msgs.msg import EndEffectorDelta

from vjepa_gate.ros.spinning import ask
from vjepa_ros.images import encode_png
from vjepa_ros.policy.server import serving

PATIENCE = 120
CHUNK = np.array([[0.01, 0.0, 0.02, 0.0, 0.0, 0.0, 0.0]], np.float32)


@pytest.fixture
def server():
    """Answers as it is told, and keeps what it was asked."""

    class Policy:
        answer = staticmethod(lambda: {"actions": CHUNK})

        def __init__(self):
            self.asked = []

        def __call__(self, question):
            self.asked.append(question)
            return self.answer()

    policy = Policy()
    with serving(policy, "127.0.0.1", 0) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        policy.url = f"ws://127.0.0.1:{running.socket.getsockname()[1]}"
        yield policy
        running.shutdown()


def reach(bench, camera, picture, steps=3):
    """The actions of a task of so many steps."""
    deltas = []
    node = bench.node
    node.create_subscription(EndEffectorDelta, "ee_delta", deltas.append, 10)
    camera.stream(picture(1))
    client = ActionClient(node, ReachGoal, "reach_goal")
    assert client.wait_for_server(PATIENCE)
    image = CompressedImage(format="png", data=encode_png(picture(2)))
    goal = ReachGoal.Goal(images=[image], max_steps=steps, energy_threshold=1e-6)
    handle = ask(node, client.send_goal_async, goal, timeout=PATIENCE)
    result = ask(node, handle.get_result_async, timeout=PATIENCE).result
    client.destroy()
    return deltas, result


SEARCH = {"planner": "plain", "samples": 16, "iterations": 2, "settle": 0.0, "max_image_age": 20.0}


def test_a_policy_that_drives_is_shown_what_the_camera_sees(
    bench, camera, picture, start_nodes, server, wait_until
):
    bench.gate = "planner"
    told = {"policy": server.url, "policy_mode": "rank", "policy_timeout": 20.0, "prompt": "lift"}
    start_nodes("encoder", "predictor", "planner", **SEARCH | told)
    deltas, result = reach(bench, camera, picture)
    assert result.steps == 3, result.message
    wait_until(lambda: len(deltas) == 3, "three actions")
    for delta in deltas:
        assert (delta.dx, delta.dz) == pytest.approx((0.01, 0.02), abs=1e-6)
    question = server.asked[0]
    assert question["prompt"] == "lift"
    assert question["observation/goal_image"].shape == (224, 224, 3)
    shown = question["observation/exterior_image_1_left"]
    assert abs(float(shown[28:196].mean()) - float(picture(1).mean())) < 3


def test_a_silent_policy_leaves_the_planner_alone_and_diagnostics_say_so(
    bench, camera, picture, start_nodes, server, wait_until
):
    bench.gate = "planner"
    server.answer = lambda: time.sleep(1.0) or {"actions": CHUNK}
    told = {"policy": server.url, "policy_mode": "rank", "policy_timeout": 0.1}
    heard = []
    bench.node.create_subscription(DiagnosticArray, "/diagnostics", heard.append, 10)
    start_nodes("encoder", "predictor", "planner", **SEARCH | told)
    deltas, result = reach(bench, camera, picture)
    assert result.steps == 3, result.message
    wait_until(lambda: len(deltas) == 3, "three actions")
    assert any(delta.dx != pytest.approx(0.01, abs=1e-6) for delta in deltas)

    def warned():
        statuses = [one for message in heard for one in message.status if "planner" in one.name]
        return any(
            "planning without the policy" in one.message and one.level == DiagnosticStatus.WARN
            for one in statuses
        )

    wait_until(warned, "a warning on /diagnostics")
