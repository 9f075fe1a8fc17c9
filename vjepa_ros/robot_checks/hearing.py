"""What comes on a robot's topics, whatever reliability and type it has."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from geometry_msgs.msg import PoseStamped, WrenchStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.topic_endpoint_info import TopicEndpointInfo
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Bool

from vjepa_gate.graph_names import node_of
from vjepa_gate.robots import Robot, Topic
from vjepa_gate.ros import stamps
from vjepa_gate.ros.franka_state import state_type
from vjepa_gate.ros.thinned import apart
from vjepa_gate.serialized import stamp_of
from vjepa_gate.watchdog import CLOCK_TOLERANCE
from vjepa_ros.findings import Note, Problem

RECOVER = (
    "the robot has stopped (reflex, user stop): recover it, then activate hardware and controllers "
    "(docs/REAL_FRANKA.md)"
)
_QUEUE = QoSProfile(depth=5000, reliability=ReliabilityPolicy.BEST_EFFORT)
_LOOK = 0.005  # seconds
_OLD = 0.25  # seconds from stamp to arrival


@dataclass(kw_only=True)
class Heard:
    """What came on one topic."""

    kind: type
    topic: Topic
    needed: float  # Hz
    alone: bool = True  # one node may publish it
    subscription: Any = None
    count: int = 0
    stamps: list[float] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)  # seconds from stamp to arrival
    last: bytes = b""

    def message(self) -> Any:
        """Convert the newest."""
        return deserialize_message(self.last, self.kind)


class Ears:
    """Hears all topics of a robot as bytes, best effort."""

    def __init__(self, node: Node, robot: Robot) -> None:
        self._node, self._apart, topics = node, apart(node, "hears"), robot.topics
        image = CompressedImage if topics.camera.compressed else Image
        self.heard = {
            "camera": Heard(kind=image, topic=topics.camera, needed=5.0),
            "joint_states": Heard(
                kind=JointState, topic=topics.joint_states, needed=5.0, alone=False
            ),
        }
        for name, kind, alone in (
            ("current_pose", PoseStamped, True),
            ("franka_state", state_type(), True),
            ("external_wrench", WrenchStamped, True),
            ("collision", Bool, False),
        ):
            topic = getattr(topics, name)
            if topic is not None and kind is not None:
                self.heard[name] = Heard(kind=kind, topic=topic, needed=20.0, alone=alone)

    def destroy(self) -> None:
        """Stop listening."""
        self._apart.destroy_node()

    def listen(self, seconds: float) -> None:
        """Hear all topics for so long, and forget what was heard before."""
        for heard in self.heard.values():
            heard.count, heard.last = 0, b""
            heard.stamps.clear()
            heard.ages.clear()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for heard in self.heard.values():
                self._take(heard)
            time.sleep(_LOOK)
        for heard in self.heard.values():  # a thousand messages a second are no small load
            if heard.subscription is not None:
                self._apart.destroy_subscription(heard.subscription)
                heard.subscription = None

    def told(self, key: str) -> Any:
        """The newest message; raises Note where there is none."""
        heard = self.heard[key]
        if not heard.last:
            raise Note(f"{heard.topic.name} was not heard: see {key} above")
        return heard.message()

    def publishers(self, key: str) -> Sequence[TopicEndpointInfo]:
        """Of the topic that the robot's YAML names."""
        return self._node.get_publishers_info_by_topic(self._name(key))

    # --- lines ---------------------------------------------------------------------------

    def topic(self, key: str) -> str:
        """Check publishers, type, reliability and rate."""
        heard, name, publishers = self.heard[key], self._name(key), self.publishers(key)
        wanted = type_name(heard.kind)
        if not publishers:
            raise Problem(f"nobody publishes {name}: {self._similar(wanted, key)}")
        if strangers := [one for one in publishers if one.topic_type != wanted]:
            raise Problem(
                f"{node_of(strangers[0])} publishes {name} as {strangers[0].topic_type}, expected "
                f"{wanted}: {self._similar(wanted, key)}"
            )
        if heard.alone and len(publishers) > 1:
            nodes = ", ".join(map(node_of, publishers))
            raise Problem(f"{len(publishers)} nodes publish {name} ({nodes}): stop all but one")
        weak = [one for one in publishers if not is_reliable(one)]
        if heard.topic.reliability == "reliable" and weak:
            raise Problem(
                f"{node_of(weak[0])} publishes {name} best effort, of which a reliable subscriber "
                f"hears nothing: set topics.{key}.reliability: best_effort"
            )
        return f"{name}{self._rate(heard, name)}"

    def clock(self) -> str:
        """Compare stamps with this clock."""
        shown = []
        for key, heard in self.heard.items():
            if not heard.ages:
                continue
            age = min(heard.ages)  # what is later was held up, here or on its way
            if not -CLOCK_TOLERANCE <= age <= _OLD:
                away = f"{-age:.2f} s ahead of" if age < 0 else f"{age:.2f} s behind"
                raise Problem(
                    f"{key} is stamped {away} this clock: synchronise the clocks (`chronyc "
                    "tracking` on both machines), or its driver is late"
                )
            shown.append(f"{key} {1000 * age:.0f} ms")
        if not shown:
            raise Note("nothing with a stamp was heard")
        return f"from stamp to arrival, at least: {', '.join(shown)}"

    def _rate(self, heard: Heard, name: str) -> str:
        if heard.count == 0:
            raise Problem(f"{name} has a publisher and is silent: {RECOVER}, or the network drops")
        if len(heard.stamps) < 2:
            return ""
        span = heard.stamps[-1] - heard.stamps[0]
        if span <= 0:
            raise Problem(f"{name} repeats one stamp: its driver hangs")
        rate = (len(heard.stamps) - 1) / span
        if rate < heard.needed:
            raise Problem(f"{name} comes at {rate:.1f} Hz, expected {heard.needed:g} at least")
        return f" at {rate:.0f} Hz"

    def _take(self, heard: Heard) -> None:
        if heard.subscription is None:
            publishers = self._node.get_publishers_info_by_topic(self._of(heard))
            kinds = {one.topic_type for one in publishers}
            if kinds != {type_name(heard.kind)}:
                return  # rcl takes no second type of one name
            heard.subscription = self._apart.create_subscription(
                heard.kind, self._of(heard), lambda _: None, _QUEUE, raw=True
            )
        while (taken := heard.subscription.handle.take_message(heard.kind, True)) is not None:
            heard.count, heard.last = heard.count + 1, taken[0]
            if heard.kind is not Bool:
                heard.stamps.append(stamp_of(taken[0]))
                heard.ages.append(stamps.now(self._node) - heard.stamps[-1])

    def _name(self, key: str) -> str:
        return self._of(self.heard[key])

    def _of(self, heard: Heard) -> str:
        return self._node.resolve_topic_name(heard.topic.name)

    def _similar(self, kind: str, key: str) -> str:
        names = [name for name, kinds in self._node.get_topic_names_and_types() if kind in kinds]
        found = [name for name in names if self._node.count_publishers(name)]
        where = f"there are {', '.join(sorted(found)[:6])}" if found else "start its driver"
        return f"{where}; set topics.{key}, or check ROS_DOMAIN_ID"


def type_name(kind: type, what: str = "msg") -> str:
    """As the graph has it."""
    return f"{kind.__module__.split('.')[0]}/{what}/{kind.__name__}"


def is_reliable(endpoint: TopicEndpointInfo) -> bool:
    """Tell the reliability that it offers or asks for."""
    return endpoint.qos_profile.reliability == ReliabilityPolicy.RELIABLE
