"""The recorder: what robot, camera, planner and gate said, as an mcap bag.

It holds what `vjepa-ros episodes` and `vjepa-ros replay` read, in the robot's own topics and with
their names, and beside it targets, plans, pictures of the goals, surprise and diagnostics. The bag
is `runs/<time>/bag`, or `folder`. A full disk ends it.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped, TwistStamped
from nav_msgs.msg import Path as Way
from rosbags.interfaces import Connection, Qos
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_msgs.msg import Float32
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray
from vjepa_msgs.msg import EndEffectorDelta, Plan

from vjepa_gate.robots import Robot, Topic, load_robot
from vjepa_gate.ros.process import run_node
from vjepa_gate.ros.qos import of_topic
from vjepa_gate.settings import declare_parameters
from vjepa_gate.status import Status
from vjepa_ros.episodes.bag_file import BagFile
from vjepa_ros.episodes.bag_schema import ABOUT, LATCHED, BagTopics, about_json, typestore
from vjepa_ros.nodes.health import Meter, memory
from vjepa_ros.nodes.model_node import ModelNode
from vjepa_ros.nodes.plan_messages import GOAL_PICTURES, WAYS
from vjepa_ros.nodes.qos import TRANSFORMS, recorded
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
        self._ended = ""  # why
        self._newest = 0  # nanoseconds at which a message came
        self._early: list[tuple[Connection, bytes]] = []  # latched ones, from before it was active
        self._bag: BagFile | None = BagFile(self._path)
        self._bag.open()
        self.resources.callback(self._close)
        provenance = {"source": "vjepa_ros recorder", "robot": robot.name}
        about = about_json(settings.task, provenance, self._names(robot))
        self._bag.set_custom_data(ABOUT, about)
        for kind, topic in _topics(robot):
            self._record(kind, topic.name, recorded(of_topic(topic).reliability))
        self._record(TFMessage, "/tf_static", TRANSFORMS, [LATCHED])
        self.get_logger().info(f"recording into {self._path}")

    def _names(self, robot: Robot) -> BagTopics:
        """What a reader of the bag has to know of it."""
        topics, gripper, name = robot.topics, robot.gripper, self.resolve_topic_name
        pose = topics.current_pose
        return BagTopics(
            image=name(topics.camera.name),
            camera_info=name(_camera_info(topics.camera)),
            pose=name(pose.name if pose else "/tf"),
            base_frame=robot.base_frame,
            tool_frame=robot.tool_frame,
            fingers=name(topics.joint_states.name),
            joints=gripper.joints,
            position=gripper.position,
            max_width=gripper.max_width,
            action=name("ee_delta"),
            transforms=name("/tf_static"),
        )

    def _record(self, kind: Any, topic: str, profile: Any, offered: Sequence[Qos] = ()) -> None:
        assert self._bag
        message_type = f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"
        connection = self._bag.add_connection(
            self.resolve_topic_name(topic),
            message_type,
            typestore=typestore(),
            offered_qos_profiles=offered,
        )
        self.subscribe(
            kind,
            topic,
            lambda serialized: self._hear(connection, serialized, latched=bool(offered)),
            profile,
            raw=True,
        )

    def start(self) -> None:
        """Begin with what was said once, before."""
        for connection, serialized in self._early:
            self._write(connection, serialized)
        self._early.clear()

    def _hear(self, connection: Connection, serialized: bytes, *, latched: bool) -> None:
        if self.active:
            self._write(connection, serialized)
        elif latched:
            self._early.append((connection, serialized))

    def _write(self, connection: Connection, serialized: bytes) -> None:
        if self._bag is None:
            return
        # A clock that is set back must not mix up the order of messages.
        self._newest = max(self._newest, self.get_clock().now().nanoseconds)
        try:
            self._bag.write(connection, self._newest, serialized)
        except OSError as error:
            self._ended = f"recording ended: {error.strerror}; {self._path} has what came before"
            self._close()
            return
        self._written.tick()
        self._counts[connection.topic] += 1

    def _close(self) -> None:
        bag, self._bag = self._bag, None
        try:
            if bag is not None:
                bag.close()
        except OSError as error:
            self.get_logger().error(f"{self._path} could not be closed: {error}")

    def status(self) -> Status:
        """Say what was written."""
        values = {
            "bag": str(self._path),
            "messages": str(self._written.total),
            "messages per second": f"{self._written.rate():.1f}",
            **{topic: str(count) for topic, count in self._counts.items()},
            **memory(),
        }
        if self._ended:
            return Status(level="error", message=self._ended, values=values)
        return Status(level="ok", message="recording", values=values)


def _topics(robot: Robot) -> list[tuple[Any, Topic]]:
    topics, camera = robot.topics, robot.topics.camera
    found: list[tuple[Any, Topic]] = [
        (CompressedImage if camera.compressed else Image, camera),
        (CameraInfo, Topic(name=_camera_info(camera), reliability="best_effort")),
        (JointState, topics.joint_states),
        (PoseStamped if robot.command == "pose" else TwistStamped, topics.target),
        (EndEffectorDelta, Topic(name="ee_delta")),
        (Plan, Topic(name="plan")),
        (Way, Topic(name="plan/path")),
        (MarkerArray, Topic(name="plan/markers")),
        (Image, Topic(name="predictor/imagined")),
        (CompressedImage, Topic(name=GOAL_PICTURES)),
        (CompressedImage, Topic(name=WAYS)),
        (Float32, Topic(name="surprise")),
        (DiagnosticArray, Topic(name="/diagnostics")),
    ]
    if topics.current_pose is not None:
        found.append((PoseStamped, topics.current_pose))
    else:
        found.append((TFMessage, Topic(name="/tf")))
    return found


def _camera_info(camera: Topic) -> str:
    """Beside the images, as image_transport has it."""
    folder, slash, _ = camera.name.removesuffix("/compressed").rpartition("/")
    return f"{folder}{slash}camera_info"


def main() -> int:
    """Run the node until a signal."""
    return run_node(RecorderNode)


if __name__ == "__main__":
    sys.exit(main())
