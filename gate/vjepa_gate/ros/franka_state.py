"""The whole state of a Franka, 1000 times a second: its mode, its joints, and parts of it that
other topics repeat.

Each topic at 1 kHz costs its listeners 2 % of a core, whatever they do with it. So who hears the
whole does not hear its parts.
"""

from collections.abc import Callable, Sequence
from typing import Any

from rclpy.serialization import deserialize_message

from vjepa_gate.robots import Topic
from vjepa_gate.ros.layout import Fields
from vjepa_gate.serialized import stamp_of

# What franka_robot_state_broadcaster publishes beside it, and as what field it is in there.
_WHOLE = "robot_state"
_PARTS = {"current_pose": "o_t_ee", "external_wrench_in_base_frame": "o_f_ext_hat_k"}

# Is told stamp, frame and numbers of a stamped message.
Take = Callable[[float, str, Sequence[float]], None]


class FrankaState:
    """Reads one after the other, as bytes."""

    def __init__(self, kind: type, topic: Topic, on_mode: Callable[[int, float], None]) -> None:
        self.kind, self.topic, self._on_mode = kind, topic, on_mode
        self._takers: dict[str, Take] = {}
        self._fields = Fields(kind, "robot_mode")
        self._newest = b""

    def has(self, topic: Topic, take: Take) -> bool:
        """Whether what comes on a topic is a part of this, and handed on from here."""
        place, _, name = topic.name.rpartition("/")
        if name not in _PARTS or self.topic.name != f"{place}/{_WHOLE}".lstrip("/"):
            return False
        self._takers[_PARTS[name]] = take
        self._fields = Fields(self.kind, "robot_mode", *self._takers)
        return True

    def read(self, serialized: bytes) -> None:
        """Raises ValueError or RuntimeError for bytes that are no such message."""
        (mode,), *parts = self._fields.read(serialized)
        stamp = stamp_of(serialized)
        self._on_mode(mode, stamp)
        for (_, _, frame, *numbers), take in zip(parts, self._takers.values(), strict=True):
            take(stamp, frame.decode(), numbers)
        self._newest = serialized

    def joints(self) -> tuple[Sequence[str], Sequence[float]]:
        """Names and positions; takes as long as to convert it all."""
        if not self._newest:
            return (), ()
        state: Any = deserialize_message(self._newest, self.kind)
        return state.measured_joint_state.name, state.measured_joint_state.position


def state_type() -> type | None:
    """franka_msgs/FrankaRobotState, None where it is not installed."""
    try:
        from franka_msgs.msg import FrankaRobotState
    except ImportError:
        return None
    return FrankaRobotState
