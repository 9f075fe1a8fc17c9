"""One pass over a bag: everything but the pictures, of which only the stamps are kept."""

import json
import struct
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader
from rosbags.rosbag2.reader import DirectoryReader

from vjepa_gate.conventions import ACTION_NAMES
from vjepa_ros.episodes import bag_schema
from vjepa_ros.episodes.bag_schema import BagTopics, nanoseconds_of, typestore
from vjepa_ros.episodes.bag_transforms import MovingFrames
from vjepa_ros.episodes.files import EpisodeError, reading

MAX_MESSAGE = 256 * 2**20  # bytes; a 4K image of 16-bit colours is 50 MB


@dataclass(kw_only=True)
class BagScan:
    """The messages of a bag as rows of numbers, by the names of `BagTopics`."""

    path: Path
    topics: BagTopics
    channels: dict[str, Connection]
    custom: dict[str, str]  # the bag's custom data
    about: dict[str, Any]  # of it what the bag tells of itself
    counts: Counter[str] = field(default_factory=Counter)  # of messages, by name
    log_times: dict[str, Any] = field(default_factory=lambda: defaultdict(lambda: array("q")))
    header_times: dict[str, Any] = field(default_factory=lambda: defaultdict(lambda: array("q")))
    rows: dict[str, Any] = field(default_factory=lambda: defaultdict(lambda: array("d")))
    frame_ids: dict[str, str] = field(default_factory=dict)
    camera_info: Any = None
    transforms: list[Any] = field(default_factory=list)
    frames: MovingFrames = field(default_factory=MovingFrames)
    checksums: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def stamps(self, name: str, clock: str) -> NDArray[np.float64]:
        """Seconds [N] of a topic's messages, by the sensors' clock or the recorder's."""
        times = self.header_times[name] if clock == "header" else self.log_times[name]
        seconds, nanoseconds = np.divmod(np.asarray(times, np.int64), 10**9)
        return seconds + nanoseconds * 1e-9

    def sought(self, name: str) -> str:
        """What a topic's messages should have told, for one who misses it."""
        topics = self.topics
        if self.counts[name] == 0:
            return "; expected at least one"
        if name == "fingers":
            return f" with all of its joints; expected {', '.join(topics.joints)}"
        return f" that leads from {topics.base_frame} to {topics.tool_frame}; expected these frames"

    def add(self, name: str, connection: Connection, log_time: int, raw: bytes) -> None:
        """Take one message in; raise ValueError where it holds no sound data."""
        if len(raw) > MAX_MESSAGE:
            raise ValueError(f"a message of {len(raw)} bytes, more than {MAX_MESSAGE}")
        topic = connection.topic
        self.checksums[topic] = bag_schema.add_checksum(self.checksums[topic], log_time, raw)
        self.counts[name] += 1
        if name == "image":
            self._add_image(raw)
        elif not self._add_message(name, typestore().deserialize_cdr(raw, connection.msgtype)):
            return
        self.log_times[name].append(log_time)

    def _add_image(self, raw: bytes) -> None:
        """Its head only: byte order, int32 seconds, uint32 nanoseconds, the frame's name."""
        order = "<" if raw[1] & 1 else ">"
        seconds, nanoseconds, length = struct.unpack_from(f"{order}iII", raw, 4)
        self.header_times["image"].append(seconds * 10**9 + nanoseconds)
        self.frame_ids["image"] = raw[16 : 15 + length].decode()  # its end is a zero byte

    def _add_message(self, name: str, message: Any) -> bool:
        """Whether it told of what we look for."""
        if name == "transforms":
            self.transforms += message.transforms
            self.frames.add(message.transforms, moving=False)
            return True
        if message.__msgtype__ == bag_schema.TRANSFORMS:
            return self._add_tf(message)
        if name == "fingers":
            width = self.topics.width(message.name, message.position)
            if width is None:
                return False
            self.rows[name].append(width)
        self._add_row(name, message)
        self.header_times[name].append(nanoseconds_of(message.header.stamp))
        self.frame_ids[name] = message.header.frame_id
        return True

    def _add_row(self, name: str, message: Any) -> None:
        match name:
            case "pose":
                p, q = message.pose.position, message.pose.orientation
                self.rows[name].extend((p.x, p.y, p.z, q.x, q.y, q.z, q.w))
            case "action":
                stamp = message.image_stamp
                delta = [getattr(message, axis) for axis in ACTION_NAMES]
                self.rows[name].extend((stamp.sec, stamp.nanosec, *delta))
            case "camera_info":
                self.camera_info = self.camera_info or message

    def _add_tf(self, message: Any) -> bool:
        """Where the tool is, as far as the transforms up to now tell."""
        base, tool = self.topics.base_frame, self.topics.tool_frame
        if not (base and tool):
            raise ValueError("no names of frames; expected base_frame and tool_frame")
        self.frames.add(message.transforms, moving=True)
        found = self.frames.pose(base, tool)
        if found is None:
            return False
        row, stamp = found
        self.rows["pose"].extend(row)
        self.header_times["pose"].append(nanoseconds_of(stamp))
        self.frame_ids["pose"] = base
        return True


def scan_bag(path: Path, given: Mapping[str, Any]) -> BagScan:
    """Read all messages of the topics once; of those that are given, then of the bag's own."""
    with open_bag(path) as bag:
        storage = bag.storage
        custom = storage.metadata.custom if isinstance(storage, DirectoryReader) else None
        custom = dict(custom or {})
        with reading(path, bag_schema.ABOUT, "JSON with `task`, `provenance` and `topics`"):
            about = dict(json.loads(custom.get(bag_schema.ABOUT, "{}")))
            topics = bag_schema.topics_of(about, given)
        channels = _channels(path, bag, topics)
        scan = BagScan(path=path, topics=topics, channels=channels, custom=custom, about=about)
        names = {connection.topic: name for name, connection in scan.channels.items()}
        with reading(path, "messages", "an undamaged bag"):
            for connection, log_time, raw in bag.messages(list(scan.channels.values())):
                with reading(path, connection.topic, f"a whole {connection.msgtype}"):
                    scan.add(names[connection.topic], connection, log_time, raw)
    _check_whole(scan)
    return scan


@contextmanager
def open_bag(path: Path) -> Iterator[Reader]:
    """Open a bag, and close it in the end; raise EpisodeError where it is none."""
    expected = "a whole rosbag2 bag, mcap or sqlite3 (`mcap recover` mends one that was cut off)"
    with reading(path, "bag", expected):
        bag = Reader(path)
        bag.open()
    try:
        yield bag
    finally:
        bag.close()


def _channels(path: Path, bag: Reader, topics: BagTopics) -> dict[str, Connection]:
    """The connection of each of our topics, as far as the bag has them, checked for its type."""
    wanted: dict[str, dict[str, tuple[str, ...]]] = {
        "image": {
            topics.image: (bag_schema.IMAGE, bag_schema.COMPRESSED_IMAGE),
            f"{topics.image}/compressed": (bag_schema.COMPRESSED_IMAGE,),
        },
        "pose": {topics.pose: (bag_schema.POSE, bag_schema.TRANSFORMS)},
        "fingers": {topics.fingers: (bag_schema.JOINT_STATE,)},
        "camera_info": {topics.camera_info: (bag_schema.CAMERA_INFO,)},
        "action": {topics.action: (bag_schema.ACTION,)},
        "transforms": {topics.transforms: (bag_schema.TRANSFORMS,)},
    }
    found = {connection.topic.removeprefix("/"): connection for connection in bag.connections}
    channels = {}
    for name, choices in wanted.items():
        topic = next((topic for topic in choices if topic in found), None)
        if topic is not None:
            _check_type(path, found[topic], choices[topic])
            channels[name] = found[topic]
        elif name in ("image", "pose", "fingers"):
            types = next(iter(choices.values()))
            alike = [topic for topic, other in found.items() if other.msgtype in types]
            raise EpisodeError(
                path,
                next(iter(choices)),
                f"found no such topic; expected {' or '.join(types)}. Of that type the bag has "
                f"{', '.join(alike) or 'none'}: choose with --topic {name}=NAME",
            )
    return channels


def _check_type(path: Path, connection: Connection, types: tuple[str, ...]) -> None:
    if connection.msgtype not in types:
        raise EpisodeError(
            path,
            connection.topic,
            f"found type {connection.msgtype}; expected {' or '.join(types)}",
        )


def _check_whole(scan: BagScan) -> None:
    for name, connection in scan.channels.items():
        count = scan.counts[name]
        if count != connection.msgcount:
            raise EpisodeError(
                scan.path,
                connection.topic,
                f"found {count} messages; expected {connection.msgcount}, as the bag's index says",
            )
    if bag_schema.CHECKSUMS in scan.custom:
        with reading(scan.path, bag_schema.CHECKSUMS, "JSON with a checksum for each topic"):
            _check_sums(scan, json.loads(scan.custom[bag_schema.CHECKSUMS]))


def _check_sums(scan: BagScan, expected: dict[str, int]) -> None:
    about = scan.custom.get(bag_schema.ABOUT, "")
    found = json.loads(bag_schema.checksums_json(scan.checksums, about))
    for key, value in found.items():
        if expected.get(key) != value:
            raise EpisodeError(
                scan.path, key, f"found checksum {value}; expected {expected.get(key)}: damaged"
            )
