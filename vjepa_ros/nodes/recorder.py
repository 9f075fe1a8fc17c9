"""The recorder: what robot, camera, planner and gate said, as an mcap bag.

It holds what `vjepa-ros episodes` and `vjepa-ros replay` read, in the robot's own topics, and
beside it targets, plans, pictures of the goals, surprise and diagnostics. The bag is
`runs/<time>/bag`, or `folder`.
"""

import json
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped, TwistStamped
from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Float32
from vjepa_msgs.msg import EndEffectorDelta, Plan

from vjepa_gate.robots import Robot, Topic, load_robot
from vjepa_gate.ros.process import run_node
from vjepa_gate.ros.qos import of_topic
from vjepa_gate.settings import declare_parameters
from vjepa_gate.status import Status
from vjepa_ros.episodes.bag_schema import ABOUT, typestore
from vjepa_ros.nodes.health import Meter, memory
from vjepa_ros.nodes.model_node import ModelNode
from vjepa_ros.nodes.plan_messages import GOAL_PICTURES, WAYS
from vjepa_ros.nodes.qos import recorded
from vjepa_ros.nodes.settings import RecorderSettings


class RecorderNode(ModelNode):
    """Writes what a replay needs into a bag."""

    def __init__(self, **options: Any) -> None:
        super().__init__("recorder", **options)
        declare_parameters(RecorderSettings, self)

    def set_up(self) -> None:
        """Open the bag, and subscribe."""
        settings = self.settings(RecorderSettings)
        robot = load_robot(settings.robot)
        folder = settings.folder or Path(f"runs/{datetime.now():%Y-%m-%d_%H-%M-%S}/bag")
        self._path = folder.absolute()
        if self._path.exists():
            raise ValueError(f"folder: {self._path} is there already: name a new one")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._written = Meter()
        self._counts: Counter[str] = Counter()  # of messages, by topic
        self._writer = Writer(
            self._path, version=Writer.VERSION_LATEST, storage_plugin=StoragePlugin.MCAP
        )
        self._writer.open()
        self.resources.callback(self._writer.close)
        self._writer.set_custom_data(ABOUT, _about(robot, settings.task))
        for kind, topic in _topics(robot):
            self._record(kind, topic)
        self.get_logger().info(f"recording into {self._path}")

    def _record(self, kind: Any, topic: Topic) -> None:
        name = self.resolve_topic_name(topic.name)
        message_type = f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"
        connection = self._writer.add_connection(name, message_type, typestore=typestore())
        self.subscribe(
            kind,
            topic.name,
            lambda serialized: self._write(connection, serialized),
            recorded(of_topic(topic).reliability),
            raw=True,
        )

    def _write(self, connection: Connection, serialized: bytes) -> None:
        if self.active:
            self._writer.write(connection, self.get_clock().now().nanoseconds, serialized)
            self._written.tick()
            self._counts[connection.topic] += 1

    def status(self) -> Status:
        """Say what was written."""
        values = {
            "bag": str(self._path),
            "messages": str(self._written.total),
            "messages per second": f"{self._written.rate():.1f}",
            **{topic: str(count) for topic, count in self._counts.items()},
            **memory(),
        }
        return Status(level="ok", message="recording", values=values)


def _about(robot: Robot, task: str) -> str:
    provenance = {"source": "vjepa_ros recorder", "robot": robot.name}
    return json.dumps({"task": task, "provenance": provenance})


def _topics(robot: Robot) -> list[tuple[Any, Topic]]:
    topics = robot.topics
    found: list[tuple[Any, Topic]] = [
        (CompressedImage if topics.camera.compressed else Image, topics.camera),
        (JointState, topics.joint_states),
        (PoseStamped if robot.command == "pose" else TwistStamped, topics.target),
        (EndEffectorDelta, Topic(name="ee_delta")),
        (Plan, Topic(name="plan")),
        (CompressedImage, Topic(name=GOAL_PICTURES)),
        (CompressedImage, Topic(name=WAYS)),
        (Float32, Topic(name="surprise")),
        (DiagnosticArray, Topic(name="/diagnostics")),
    ]
    if topics.current_pose is not None:
        found.append((PoseStamped, topics.current_pose))
    return found


def main() -> int:
    """Run the node until a signal."""
    return run_node(RecorderNode)


if __name__ == "__main__":
    sys.exit(main())
