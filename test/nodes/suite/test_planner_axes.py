"""The planner plans through the camera's axes, and refuses those of another model."""

import pytest
from rclpy.action import ActionClient
from sensor_msgs.msg import CompressedImage
from vjepa_msgs.action import ReachGoal
from vjepa_msgs.msg import Plan

from vjepa_gate.ros.spinning import ask
from vjepa_ros.images import encode_png
from vjepa_ros.model.checkpoints import load_weights
from vjepa_ros.planning.axes import Axes, write_axes

PATIENCE = 120  # seconds; a machine may be slow
SEARCH = {"planner": "plain", "samples": 16, "iterations": 2, "settle": 0.0, "max_image_age": 20.0}
QUARTER_TURN = ((0.0, -1.0), (1.0, 0.0))
Result = ReachGoal.Result


@pytest.fixture
def axes_file(tmp_path):
    def write(weights):
        about = {"robot": "bench", "camera": "camera/image_raw", "date": "today"}
        axes = Axes(matrix=QUARTER_TURN, moves=24, residual=0.01, r2=0.9, weights=weights, **about)
        write_axes(tmp_path / "axes.yaml", axes)
        return str(tmp_path / "axes.yaml")

    return write


@pytest.fixture
def reach(bench, camera, picture):
    """One action towards a goal: the result."""
    bench.gate = "planner"
    camera.stream(picture(1))
    client = ActionClient(bench.node, ReachGoal, "reach_goal")

    def reach():
        png = CompressedImage(format="png", data=encode_png(picture(2)))
        goal = ReachGoal.Goal(images=[png], max_steps=1, energy_threshold=1e-6)
        assert client.wait_for_server(PATIENCE)
        handle = ask(bench.node, client.send_goal_async, goal, timeout=PATIENCE)
        return ask(bench.node, handle.get_result_async, timeout=PATIENCE).result

    yield reach
    client.destroy()


def test_plans_are_made_through_the_axes(bench, reach, start_nodes, axes_file, weights, wait_until):
    """The arm that the bench shows stands still, so the plans have all else in common."""
    plans = []
    bench.node.create_subscription(Plan, "plan", plans.append, 10)
    for axes in ("none", axes_file(load_weights(weights).identity)):
        start_nodes("encoder", "predictor", "planner", axes=axes, **SEARCH)
        before = len(plans)
        result = reach()
        assert result.outcome == Result.OUT_OF_STEPS, result.message
        wait_until(lambda before=before: len(plans) > before, "told its plan")
        start_nodes.stop()
    without, through = plans
    assert through.energy_now == pytest.approx(without.energy_now, rel=1e-6)
    # The first samples are the same, and are seen as other motions.
    assert through.energy_mean[0] != pytest.approx(without.energy_mean[0], rel=1e-6)


def test_axes_of_another_model_end_the_task(reach, start_nodes, axes_file):
    start_nodes("encoder", "predictor", "planner", axes=axes_file("tiny-other"), **SEARCH)
    result = reach()
    assert result.outcome == Result.FAILED
    assert "found with the weights tiny-other" in result.message
    assert "vjepa-ros calibrate" in result.message
