"""What a bag of this project holds: topics, types and units. docs/EPISODES.md in code.

The robot's topics are those of franka_ros2 and crisp_controllers, so that a lab's own
recording, one of `record:=true` and one converted from DROID read alike.
"""

import functools
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, Self
from zlib import crc32

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from vjepa_gate.conventions import FRANKA_HAND_WIDTH

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
POSE = "geometry_msgs/msg/PoseStamped"
JOINT_STATE = "sensor_msgs/msg/JointState"
TRANSFORMS = "tf2_msgs/msg/TFMessage"
ACTION = "vjepa_msgs/msg/EndEffectorDelta"
PLAN = "vjepa_msgs/msg/Plan"  # what the planner thought; for people, no reader needs it

# Keys of the bag's custom data: task and provenance as JSON, and a checksum for each topic.
ABOUT, CHECKSUMS = "vjepa_ros.episode", "vjepa_ros.checksums"


@dataclass(frozen=True, kw_only=True)
class BagTopics:
    """Names of the topics, without their leading slash."""

    image: str = "camera/image_raw"  # or its JPEG or PNG on <image>/compressed
    camera_info: str = "camera/camera_info"  # optional
    pose: str = "franka_robot_state_broadcaster/current_pose"
    fingers: str = "franka_gripper/joint_states"
    action: str = "ee_delta"  # optional: what the arm was told to do
    transforms: str = "tf_static"  # optional: where the camera stands
    max_width: float = FRANKA_HAND_WIDTH  # metres between the fingers of the open hand
    # Whose stamps count: the sensors' own, or those of the recorder where a driver
    # leaves its headers empty.
    clock: Literal["header", "recorder"] = "header"

    def __post_init__(self) -> None:
        if self.clock not in ("header", "recorder"):
            raise ValueError(f"clock is {self.clock!r}, expected 'header' or 'recorder'")

    @classmethod
    def from_mapping(cls, values: Mapping[str, object]) -> Self:
        """From the keys of a YAML file or of the command line."""
        known = {field.name: field.type for field in fields(cls)}
        if unknown := set(values) - set(known):
            raise ValueError(
                f"unknown topic key {', '.join(sorted(unknown))}, expected {', '.join(known)}"
            )
        given: dict[str, Any] = {key: _convert(known[key], values[key]) for key in values}
        return cls(**given)


def _convert(kind: object, value: object) -> object:
    return float(str(value)) if kind is float else str(value).removeprefix("/")


@functools.cache
def typestore() -> Typestore:
    """The message types of ROS 2 Jazzy and our own that a bag holds."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for name in (ACTION, PLAN):
        store.register(get_types_from_msg(_definition(name), name))
    return store


def _definition(name: str) -> str:
    """The text of one of our interfaces, from the checkout or from where it was installed."""
    package, kind, message = name.split("/")
    prefixes = [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]
    roots = [Path(__file__).parents[2], *(Path(prefix) / "share" for prefix in prefixes if prefix)]
    for root in roots:
        file = root / package / kind / f"{message}.msg"
        if file.exists():
            return file.read_text()
    raise FileNotFoundError(
        f"no {package}/{kind}/{message}.msg under {', '.join(map(str, roots))}: "
        "source the workspace that vjepa_msgs was built in"
    )


def nanoseconds_of(stamp: Any) -> int:
    """A builtin_interfaces/Time as whole nanoseconds."""
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


def add_checksum(total: int, log_time: int, data: bytes) -> int:
    """A topic's running sum of checksums, the same in whatever order its messages come."""
    return (total + crc32(data, crc32(log_time.to_bytes(8, "little")))) % 2**32


def checksums_json(of_topics: Mapping[str, int], about: str) -> str:
    """Of every topic, and of the bag's own JSON."""
    return json.dumps({**of_topics, ABOUT: crc32(about.encode())})
