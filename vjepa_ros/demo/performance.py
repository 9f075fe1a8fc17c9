"""The task itself: goal pictures, the nodes as processes, the way to the goal, the truth.

Imports ROS: whoever uses this has chosen the domain and the transport before.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage
from vjepa_msgs.msg import Plan, SceneTruth

from vjepa_gate.ros.spinning import spinning_node
from vjepa_gate.signals import signals_noted
from vjepa_ros.demo.settings import DemoSettings
from vjepa_ros.goals import Goals, read_subgoals
from vjepa_ros.images import compressed_to_rgb, encode_png
from vjepa_ros.nodes.plan_messages import WAYS
from vjepa_ros.nodes.qos import GOALS
from vjepa_ros.nodes.reach_client import reach
from vjepa_ros.options import Options
from vjepa_ros.stack import processes, with_parameters
from vjepa_ros.supervisor import Supervisor
from vjepa_sim.scene import Scene, SceneConfig

PICTURE_SIZE = 256  # pixels, of camera and goals
_REST = 1.0  # seconds between the end and the judgement, as in an evaluation

# The simulated arm may wait as long as it takes: a machine that is slow, or busy with other
# things, shall see the same demonstration. A real arm has stricter limits.
_PATIENT = {
    "max_image_age": 20.0,
    "max_camera_age": 10.0,
    "max_state_age": 5.0,
    "max_wait": 120.0,
    "answer_timeout": 60.0,
    "settle": 0.2,
    "max_settle": 5.0,
}
_CAMERA = {"image_width": PICTURE_SIZE, "image_height": PICTURE_SIZE, "camera_rate": 5.0}


@dataclass(frozen=True, kw_only=True)
class Performance:
    """What was done and what came of it."""

    result: Any  # of the action ReachGoal
    plans: list[Plan]
    truth: SceneTruth
    pictures: tuple[Path, ...]  # of the sub-goals
    way: NDArray[np.uint8] | None = None  # to one picture, as it was proposed before the arm moved


def draw_goals(settings: DemoSettings, folder: Path) -> Goals:
    """Pictures of the states that a scripted expert reaches in the same scene, as PNG files."""
    config = SceneConfig(width=PICTURE_SIZE, height=PICTURE_SIZE)
    with Scene(config) as scene:
        episode = settings.make_task().reset(scene, settings.scene, settings.goals)
    folder.mkdir(parents=True)
    for number, goal in enumerate(episode.goals, 1):
        picture = encode_png(goal.observation.rgb)
        (folder / f"{number}_{goal.name}.png").write_bytes(picture)
    return read_subgoals(folder)


def perform(settings: DemoSettings, goals: Goals, folder: Path) -> Performance | None:
    """None when a signal ended it. Raises UserError where a node cannot live."""
    options = Options(
        sim=True,
        task=settings.task,
        scene=settings.scene,
        seed=settings.seed,
        weights=settings.chosen_weights,
        robot=settings.robot,
        home_hand=True,
        record=True,
        folder=folder / "bag",
        **_PATIENT,
    )
    stack = with_parameters(processes(options), {"sim": _CAMERA})
    log = (folder / "nodes.log").open("w")
    with (
        log,
        signals_noted() as ended,
        Supervisor(stack, log) as supervisor,
        spinning_node("vjepa_ros_demo") as node,
    ):

        def stopped() -> bool:
            supervisor.check()
            return ended.is_set()

        witness = Witness(node)
        result = reach(node, goals, stopped=stopped)
        if result is None or ended.wait(_REST):
            return None
        truth = witness.newest_truth(stopped)
    if truth is None:
        return None
    return Performance(
        result=result,
        plans=witness.plans,
        truth=truth,
        pictures=goals.pictures,
        way=witness.way,
    )


class Witness:
    """Hears what the planner thought, and what really was; neither hears of it."""

    def __init__(self, node: Node) -> None:
        self.plans: list[Plan] = []
        self.way: NDArray[np.uint8] | None = None
        self._truth: SceneTruth | None = None
        self._told = threading.Event()
        node.create_subscription(Plan, "plan", self.plans.append, 100)
        node.create_subscription(CompressedImage, WAYS, self._on_way, GOALS)
        node.create_subscription(SceneTruth, "sim/truth", self._on_truth, 1)

    def _on_way(self, picture: CompressedImage) -> None:
        self.way = compressed_to_rgb(picture)

    def _on_truth(self, truth: SceneTruth) -> None:
        self._truth = truth
        self._told.set()

    def newest_truth(self, stopped: Callable[[], bool]) -> SceneTruth | None:
        """The next judgement; None when it was stopped first."""
        self._told.clear()
        while not self._told.wait(0.1):
            if stopped():
                return None
        return self._truth
