"""The planner's node and a policy: it is shown what the camera sees."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image
from torch import Tensor

from vjepa_gate.robots import Robot
from vjepa_gate.ros.qos import of_topic
from vjepa_ros.images import compressed_to_rgb, to_rgb
from vjepa_ros.nodes.model_node import ModelNode
from vjepa_ros.nodes.shelf import Shelf
from vjepa_ros.planning.task import Task
from vjepa_ros.policy.opening import Seen, proposer_of
from vjepa_ros.policy.settings import PolicySettings


class NodePolicy:
    """Proposes for a task; where it has nothing to say the planner is alone, and says so."""

    def __init__(self, node: ModelNode, robot: Robot, settings: PolicySettings, period: float):
        self._node = node
        proposer = proposer_of(settings, period)
        assert proposer is not None  # a policy was named
        self._proposer = proposer
        self.trouble = ""
        camera = robot.topics.camera
        self._convert = compressed_to_rgb if camera.compressed else to_rgb
        self._images: Shelf[None, Image | CompressedImage] = Shelf(1)
        kind = CompressedImage if camera.compressed else Image
        node.subscribe(kind, camera.name, self._on_image, of_topic(camera))

    def _on_image(self, image: Image | CompressedImage) -> None:
        self._images.put(None, image)

    def propose(
        self, task: Task, state: Tensor, goals: Sequence[NDArray[np.uint8]]
    ) -> Tensor | None:
        """Candidates [P, T, 7], or None. The arm is at rest: the newest picture shows it."""
        image = self._images.newest()
        if image is None:
            self._complain("there is no picture to show it")
            return None
        goal = goals[min(task.pursuit.number, len(goals) - 1)]
        found = self._proposer(Seen(rgb=self._convert(image), state=state, goal=goal))
        self._complain(self._proposer.trouble)
        return found

    def _complain(self, trouble: str) -> None:
        if trouble and not self.trouble:
            self._node.get_logger().warning(f"planning without the policy: {trouble}")
        if self.trouble and not trouble:
            self._node.get_logger().info("the policy proposes again")
        self.trouble = trouble

    def values(self) -> dict[str, str]:
        """What /diagnostics tells of it."""
        return {"policy": self.trouble or "proposes", "proposals": str(self._proposer.answered)}

    def close(self) -> None:
        """Leave the policy."""
        self._proposer.close()
