"""The newest transforms of /tf and /tf_static, and what they say of one frame in another."""

from contextlib import ExitStack
from functools import partial

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile
from tf2_msgs.msg import TFMessage

from vjepa_gate.pose import Pose, placed
from vjepa_gate.ros import stamps
from vjepa_gate.ros.qos import LATCHED

_HEARD = QoSProfile(depth=100)  # as tf2 hears them
_DEEPEST = 100  # links from a frame to the root


class Transforms:
    """A frame's parent is the one that was told last."""

    def __init__(self, node: Node) -> None:
        self._links: dict[str, TransformStamped] = {}  # by child
        self._fixed: set[str] = set()
        self._resources = ExitStack()
        for topic, profile in (("/tf", _HEARD), ("/tf_static", LATCHED)):
            note = partial(self._note, fixed=topic == "/tf_static")
            subscription = node.create_subscription(TFMessage, topic, note, profile)
            self._resources.callback(node.destroy_subscription, subscription)

    def destroy(self) -> None:
        """Stop listening."""
        self._resources.close()

    def look_up(self, base: str, frame: str) -> tuple[Pose, float]:
        """The frame in the base, and since when; LookupError where they are not connected.

        The time is that of the oldest moving link between them, 0 where none moves.
        """
        down, up = self._way_to_root(frame), self._way_to_root(base)
        while down and up and down[-1] is up[-1]:  # the way that both go
            down.pop()
            up.pop()
        ends = [way[-1].header.frame_id if way else end for way, end in ((down, frame), (up, base))]
        if ends[0] != ends[1]:
            raise LookupError(
                f"no transform from {base} to {frame}: {_known(self._links) or 'TF is silent'}"
            )
        pose, back = _through(down), _through(up)
        moving = [link for link in down + up if link.child_frame_id not in self._fixed]
        since = min((stamps.seconds(link.header.stamp) for link in moving), default=0.0)
        return placed(back.inverse(), pose), since

    def _note(self, message: TFMessage, fixed: bool) -> None:
        for link in message.transforms:
            self._links[link.child_frame_id] = link
            (self._fixed.add if fixed else self._fixed.discard)(link.child_frame_id)

    def _way_to_root(self, frame: str) -> list[TransformStamped]:
        way: list[TransformStamped] = []
        while frame in self._links and len(way) < _DEEPEST:
            way.append(self._links[frame])
            frame = way[-1].header.frame_id
        return way


def _through(way: list[TransformStamped]) -> Pose:
    """From the root's side down to the frame."""
    pose = Pose.of((0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))
    for link in way:
        at, turn = link.transform.translation, link.transform.rotation
        pose = placed(Pose.of((at.x, at.y, at.z), (turn.x, turn.y, turn.z, turn.w)), pose)
    return pose


def _known(links: dict[str, TransformStamped]) -> str:
    roots = {link.header.frame_id for link in links.values()} - links.keys()
    return f"TF has {len(links)} frames below {', '.join(sorted(roots))}" if links else ""
