"""The viewer: shows in Rerun what camera, encoder, planner and robot say."""

from collections.abc import Callable
from typing import Any

from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Float32
from vjepa_msgs.msg import Plan

from vjepa_gate.robots import load_robot
from vjepa_gate.ros import stamps
from vjepa_gate.ros.qos import SIGNALS, of_topic
from vjepa_gate.settings import declare_parameters
from vjepa_gate.status import Status
from vjepa_ros.extras import extra
from vjepa_ros.nodes.health import Meter
from vjepa_ros.nodes.model_node import ModelNode
from vjepa_ros.nodes.plan_messages import GOAL_PICTURES
from vjepa_ros.nodes.qos import GOALS, PICTURES
from vjepa_ros.nodes.settings import ViewerSettings


class ViewerNode(ModelNode):
    """Subscribes to what there is to see; a message that cannot be shown ends nothing."""

    def __init__(self, **options: Any) -> None:
        super().__init__("viewer", **options)
        declare_parameters(ViewerSettings, self)

    def set_up(self) -> None:
        """Open the viewer or the file, and subscribe."""
        with extra("rerun", "rerun"):
            import rerun as rr

            from vjepa_ros.viewing.stream import APPLICATION, Stream, layout
        settings = self.settings(ViewerSettings)
        recording = rr.RecordingStream(APPLICATION)
        self.resources.callback(recording.disconnect)
        where = settings.rerun_to
        if where is None:
            recording.spawn(default_blueprint=layout())
        elif "://" in where:
            recording.connect_grpc(where, default_blueprint=layout())
        else:
            recording.save(where, default_blueprint=layout())
        self._shown, self._fault, self._where = Meter(), "", where or "a viewer"
        self._stream = stream = Stream(recording)
        topics = load_robot(settings.robot).topics
        camera = topics.camera
        kind = CompressedImage if camera.compressed else Image
        self._show(kind, camera.name, stream.camera, of_topic(camera))
        if topics.current_pose is not None:
            pose = topics.current_pose
            self._show(PoseStamped, pose.name, stream.pose, of_topic(pose))
        self._show(CompressedImage, GOAL_PICTURES, stream.goal, GOALS)
        self._show(Image, "encoder/picture", stream.latents, PICTURES)
        self._show(Image, "predictor/imagined", stream.imagined, PICTURES)
        self._show(Plan, "plan", stream.plan, SIGNALS)
        self._show(Float32, "surprise", stream.surprise, SIGNALS)

    def _show(self, kind: Any, topic: str, take: Callable[[Any], None], profile: Any) -> None:
        def shown(message: Any) -> None:
            header = getattr(message, "header", None)
            now = self.get_clock().now().nanoseconds * 1e-9
            try:
                self._stream.at(now if header is None else stamps.seconds(header.stamp))
                take(message)
            except ValueError as error:
                self._fault = f"{topic}: {error}"
            else:
                self._shown.tick()

        self.subscribe(kind, topic, shown, profile)

    def status(self) -> Status:
        """Say what was shown."""
        values = {"shown": str(self._shown.total), "where": self._where}
        return Status(
            level="warning" if self._fault else "ok",
            message=self._fault or "showing",
            values=values,
        )
