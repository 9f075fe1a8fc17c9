"""What a bag of this project holds: topics, types and units. docs/EPISODES.md in code.

The robot's topics are those of franka_ros2 and crisp_controllers, so that a lab's own
recording, one of `record:=true` and one converted from DROID read alike.
"""

import functools
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from vjepa_gate.fields import build, given_in
from vjepa_gate.settings import setting
from vjepa_gate.units import FRANKA_HAND_WIDTH

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
POSE = "geometry_msgs/msg/PoseStamped"
JOINT_STATE = "sensor_msgs/msg/JointState"
TRANSFORMS = "tf2_msgs/msg/TFMessage"
ACTION = "vjepa_msgs/msg/EndEffectorDelta"
PLAN = "vjepa_msgs/msg/Plan"  # what the planner thought; for people, no reader needs it

_FOREVER = QosTime(2147483647, 4294967295)
# A transform that was sent once must reach whoever subscribes later.
LATCHED = Qos(
    QosHistory.KEEP_LAST,
    1,
    QosReliability.RELIABLE,
    QosDurability.TRANSIENT_LOCAL,
    _FOREVER,
    _FOREVER,
    QosLiveliness.AUTOMATIC,
    _FOREVER,
    False,
)

# Keys of the bag's custom data: task, provenance and topics as JSON, and a checksum for each topic.
ABOUT, CHECKSUMS = "vjepa_ros.episode", "vjepa_ros.checksums"


@dataclass(frozen=True, kw_only=True)
class BagTopics:
    """Names of the topics, without their leading slash."""

    image: str = setting("camera/image_raw", "or its JPEG or PNG on <image>/compressed")
    camera_info: str = setting("camera/camera_info", "optional")
    pose: str = setting(
        "franka_robot_state_broadcaster/current_pose",
        "of the tool; or tf, where it is tool_frame in base_frame",
    )
    base_frame: str = setting("", "in which TF gives the pose")
    tool_frame: str = setting("", "whose pose TF gives")
    fingers: str = setting("franka_gripper/joint_states", "their positions")
    joints: tuple[str, ...] = setting(
        (), "of the fingers; none: one or two with `finger` in the name"
    )
    position: Literal["per_finger", "total"] = setting("per_finger", "what a position means")
    action: str = setting("ee_delta", "optional: what the arm was told to do")
    transforms: str = setting("tf_static", "optional: where the camera stands, for one")
    max_width: float = setting(
        FRANKA_HAND_WIDTH, "between the fingers of the open hand", low=0.001, high=1.0, unit="m"
    )
    clock: Literal["header", "recorder"] = setting(
        "header",
        "whose stamps count: the sensors' own, or those of the recorder where a driver leaves its "
        "headers empty",
    )

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, str):
                object.__setattr__(self, name, value.removeprefix("/"))

    def width(self, names: Sequence[str], positions: Sequence[float]) -> float | None:
        """Metres between the fingers; None where the joints are others."""
        found = dict(zip(names, positions, strict=True))
        wanted = self.joints or tuple(name for name in names if "finger" in name)
        if not self.joints and len(wanted) not in (1, 2):
            raise ValueError(f"joints {list(names)}, of which one or two should be named …finger…")
        if not found.keys() >= set(wanted):
            return None
        mean = sum(found[name] for name in wanted) / len(wanted)
        return float(2 * mean if self.position == "per_finger" else mean)


def about_json(task: str, provenance: Mapping[str, Any], topics: BagTopics) -> str:
    """What a bag tells of itself."""
    return json.dumps({"task": task, "provenance": provenance, "topics": asdict(topics)})


def topics_of(about: Mapping[str, Any], given: Mapping[str, Any]) -> BagTopics:
    """Those that a bag names, and before them what is given; raises ValueError."""
    recorded = given_in(BagTopics, about.get("topics", {}), "topics")
    return build(BagTopics, {**recorded, **given}, "")


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
