"""The arm of a running graph as calibration moves it: through the arm gate, as the planner does."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import Trigger
from torch import Tensor
from vjepa_msgs.msg import EndEffectorDelta

from vjepa_gate.conventions import ACTION_NAMES
from vjepa_gate.robots import Robot
from vjepa_gate.ros import stamps
from vjepa_gate.ros.qos import DELTAS, of_topic
from vjepa_gate.ros.spinning import spinning_node
from vjepa_ros.images import compressed_to_rgb, to_rgb
from vjepa_ros.nodes.arm_state import ArmState
from vjepa_ros.nodes.shelf import Shelf
from vjepa_ros.planning.world_model import Context

_PATIENCE = 20.0  # seconds for the arm gate, images and states
_DISCOVERY = 1.0  # seconds that the gate may take to find this node, which has found it
_SETTLE = 0.3  # seconds after a motion's duration before it is asked whether the arm is at rest
_REST = 0.4  # seconds of standing still after which an arm is at rest
_POLL = 0.05


class GateMover:
    """Raises ValueError when gate, camera or robot say nothing."""

    def __init__(
        self, node: Node, robot: Robot, see: Callable[[NDArray[np.uint8]], Tensor], period: float
    ) -> None:
        """see: a picture's latents [L, D]; period: seconds of a motion."""
        self._node, self._robot, self._see, self._period = node, robot, see, period
        self._arm = ArmState(node, robot)
        self._images: Shelf[None, Image | CompressedImage] = Shelf(1)
        camera = robot.topics.camera
        self._rgb = compressed_to_rgb if camera.compressed else to_rgb
        kind = CompressedImage if camera.compressed else Image
        node.create_subscription(
            kind, camera.name, lambda image: self._images.put(None, image), of_topic(camera)
        )
        self._deltas = node.create_publisher(EndEffectorDelta, "ee_delta", DELTAS)
        self._hold = node.create_client(Trigger, "arm_gate/hold")
        self._sequence = 0
        self._due = stamps.now(node)  # from which on an image shows the arm at rest
        self._find_gate()

    def look(self) -> Context:
        """Wait for a frame of an arm that has come to rest."""
        image, state = self._at_rest()
        latents = self._see(self._rgb(image))
        return Context(latents=latents[None], states=state[None])

    def move(self, action: Tensor) -> None:
        """Send an action to the arm gate."""
        self._refuse_company()
        image, _ = self._newest()  # the arm has stood still since the last look
        self._sequence += 1
        message = EndEffectorDelta(
            image_stamp=image.header.stamp,
            sequence=self._sequence,
            duration=self._period,
            energy=float("nan"),
            **dict(zip(ACTION_NAMES, action.tolist(), strict=True)),
        )
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.header.frame_id = self._robot.base_frame
        self._deltas.publish(message)
        self._due = stamps.seconds(message.header.stamp) + self._period + _SETTLE

    def end(self) -> None:
        """Let the arm hold."""
        if self._hold.service_is_ready():
            self._hold.call_async(Trigger.Request())
        self._arm.destroy()

    def _at_rest(self) -> tuple[Any, Tensor]:
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            image, state = self._newest()
            self._due = stamps.seconds(image.header.stamp)
            if self._arm.rests(self._due, _REST):
                return image, state
            time.sleep(_POLL)
        raise ValueError(f"the arm does not come to rest (gave up after {_PATIENCE:g} s)")

    def _newest(self) -> tuple[Any, Tensor]:
        end, why = time.monotonic() + _PATIENCE, ""
        while time.monotonic() < end:
            image = self._images.wait_newest(
                lambda image: stamps.seconds(image.header.stamp) >= self._due, _POLL
            )
            if image is None:
                why = f"no new image on {self._robot.topics.camera.name}"
                continue
            state = self._arm.at(stamps.seconds(image.header.stamp))
            if state is not None:
                return image, state
            why = f"{self._arm.complaint()} at the time of the image"
            time.sleep(_POLL)
        raise ValueError(f"{why} (gave up after {_PATIENCE:g} s)")

    def _find_gate(self) -> None:
        end = time.monotonic() + _PATIENCE
        while self._deltas.get_subscription_count() == 0 or not self._hold.service_is_ready():
            if time.monotonic() > end:
                raise ValueError(
                    f"no arm gate on {self._deltas.topic_name}: bring up robot, camera and gate, "
                    "or try --sim"
                )
            time.sleep(_POLL)
        time.sleep(_DISCOVERY)

    def _refuse_company(self) -> None:
        if self._node.count_publishers(self._deltas.topic_name) > 1:
            raise ValueError(
                f"another node publishes on {self._deltas.topic_name}, a planner by the look of "
                "it, and the arm gate takes actions of one node only: end it while calibrating"
            )


@contextlib.contextmanager
def running_arm(
    robot: Robot, see: Callable[[NDArray[np.uint8]], Tensor], period: float, namespace: str = ""
) -> Iterator[GateMover]:
    """Give the arm of a running graph, as calibration moves it."""
    with spinning_node("vjepa_calibrate", namespace=namespace) as node:
        mover = GateMover(node, robot, see, period)
        try:
            yield mover
        finally:
            mover.end()
