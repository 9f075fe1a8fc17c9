"""The arm's model as ROS sees it: its URDF, and where its links are."""

from collections.abc import Mapping

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Transform, TransformStamped, Vector3
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Header, String
from tf2_msgs.msg import TFMessage

from vjepa_sim.fr3.description import Link, links
from vjepa_sim.geometry import matrix_to_quaternion
from vjepa_sim.ros import messages

TF_RATE = 15.0  # Hz: robot_state_publisher's limit of 20 leaves every second of 30
_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Model:
    """Publishes what robot_state_publisher would."""

    def __init__(self, node: Node, description: str) -> None:
        joints = links(description)
        self._movable = [link for link in joints if link.kind != "fixed"]
        fixed = [link for link in joints if link.kind == "fixed"]
        self._tf = node.create_publisher(TFMessage, "/tf", 100)
        self._tf_static = node.create_publisher(TFMessage, "/tf_static", _LATCHED)
        _publish(self._tf_static, fixed, {}, node.get_clock().now().to_msg())
        self._description = node.create_publisher(String, "robot_description", _LATCHED)
        self._description.publish(String(data=description))

    def publish(self, positions: Mapping[str, float], stamp: Time) -> None:
        """Tell where the links are, for joint positions in radians and metres."""
        _publish(self._tf, self._movable, positions, stamp)


def _publish(
    publisher: Publisher, joints: list[Link], positions: Mapping[str, float], stamp: Time
) -> None:
    transforms = []
    for link in joints:
        pose = link.pose(positions.get(link.joint, 0.0))
        placed = messages.pose(pose[:3, 3], matrix_to_quaternion(pose[:3, :3]))
        at = placed.position
        transforms.append(
            TransformStamped(
                header=Header(stamp=stamp, frame_id=link.parent),
                child_frame_id=link.child,
                transform=Transform(
                    translation=Vector3(x=at.x, y=at.y, z=at.z), rotation=placed.orientation
                ),
            )
        )
    publisher.publish(TFMessage(transforms=transforms))
