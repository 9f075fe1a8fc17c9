"""The camera's topics: picture, calibration, and where the camera stands.

They lie under `camera/`, or where the driver of a RealSense puts those of its colour camera.

`camera/pose` (latched) is the optical frame in the robot's base: what a calibration gives in
a laboratory, and what a transform in /tf_static would say.
"""

from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from vjepa_sim.faults import Faults, Line, PictureFaults
from vjepa_sim.ros import messages
from vjepa_sim.scene import Scene

_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class CameraStream:
    def __init__(
        self,
        node: Node,
        scene: Scene,
        *,
        topics: str,
        viewpoint: str,
        frame: str,
        base_frame: str,
        seed: int,
    ) -> None:
        self._scene = scene
        self._viewpoint, self._frame, self._base_frame = viewpoint, frame, base_frame
        self._faults = PictureFaults(seed)

        def publisher(
            kind: type, topic: str, qos: QoSProfile = qos_profile_sensor_data
        ) -> Publisher:
            return node.create_publisher(kind, topic, qos)

        self._raw = publisher(Image, f"{topics}/image_raw")
        self._jpeg = publisher(CompressedImage, f"{topics}/image_raw/compressed")
        info = publisher(CameraInfo, f"{topics}/camera_info")
        self._pose = publisher(PoseStamped, "camera/pose", _LATCHED)
        self._raw_line = Line[Image](self._raw.publish, seed, 1)
        self._jpeg_line = Line[CompressedImage](self._jpeg.publish, seed, 2)
        self._info_line = Line[CameraInfo](info.publish, seed, 3)

    def tell_pose(self, stamp: Time) -> None:
        header = Header(stamp=stamp, frame_id=self._base_frame)
        camera = self._scene.camera(self._viewpoint)
        self._pose.publish(messages.camera_pose(camera, header))

    def take(self, stamp: Time, now: float, faults: Faults) -> None:
        """Take a picture and send it on its way; drawn only if somebody wants to see it."""
        if self._faults.lost(faults):
            return
        header = Header(stamp=stamp, frame_id=self._frame)
        info = messages.camera_info(self._scene.camera(self._viewpoint), header)
        self._info_line.send(info, now, faults, faults.camera_delay)
        raw_wanted = self._raw.get_subscription_count() > 0
        jpeg_wanted = self._jpeg.get_subscription_count() > 0
        if not (raw_wanted or jpeg_wanted):
            return
        rgb = self._faults.spoil(self._scene.render(self._viewpoint), faults)
        if raw_wanted:
            self._raw_line.send(messages.image(rgb, header), now, faults, faults.camera_delay)
        if jpeg_wanted:
            jpeg = messages.compressed_image(rgb, header, "jpeg")
            self._jpeg_line.send(jpeg, now, faults, faults.camera_delay)

    def arrive(self, now: float, faults: Faults) -> None:
        """Publish what was delayed until now."""
        for line in (self._raw_line, self._jpeg_line, self._info_line):
            line.arrive(now, faults)
