"""The viewer's node writes what the others say into a file that Rerun reads."""

from rclpy.action import ActionClient
from sensor_msgs.msg import CompressedImage
from vjepa_msgs.action import ReachGoal

from rrd import rows_of
from vjepa_gate.ros.spinning import ask
from vjepa_ros.images import encode_png

PATIENCE = 120
SEARCH = {"planner": "plain", "samples": 16, "iterations": 2, "settle": 0.0, "max_image_age": 20.0}


def test_a_task_is_shown_from_camera_to_candidates(bench, camera, picture, start_nodes, tmp_path):
    bench.gate = "planner"
    file = tmp_path / "task.rrd"
    nodes = ("encoder", "predictor", "planner", "viewer")
    started = start_nodes(*nodes, **SEARCH, picture=True, rerun_to=str(file))
    camera.stream(picture(1))
    client = ActionClient(bench.node, ReachGoal, "reach_goal")
    assert client.wait_for_server(PATIENCE)
    image = CompressedImage(format="png", data=encode_png(picture(2)))
    goal = ReachGoal.Goal(images=[image], max_steps=2, energy_threshold=1e-6)
    handle = ask(bench.node, client.send_goal_async, goal, timeout=PATIENCE)
    ask(bench.node, handle.get_result_async, timeout=PATIENCE)
    client.destroy()
    assert started[-1].status().level == "ok"
    start_nodes.stop()
    rows = rows_of(file)
    for entity in ("/camera", "/goal", "/latents", "/arm/tool", "/arm/candidates", "/energy/now"):
        assert rows[entity] > 0, entity
