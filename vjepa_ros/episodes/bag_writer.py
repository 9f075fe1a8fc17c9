"""Episodes to rosbag2 bags, as a lab's own recording would be."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from rosbags.interfaces import Connection, Qos
from rosbags.rosbag2 import StoragePlugin, Writer

from vjepa_gate.conventions import ACTION_NAMES
from vjepa_ros import conventions
from vjepa_ros.episodes import bag_schema
from vjepa_ros.episodes.bag_schema import BagTopics, typestore
from vjepa_ros.episodes.calibration import Calibration
from vjepa_ros.episodes.episode import Trajectory
from vjepa_ros.episodes.files import written_whole
from vjepa_ros.images import encode_jpeg, encode_png, rgb_to_fields

BASE_FRAME, CAMERA_FRAME = "fr3_link0", "camera_color_optical_frame"
FINGERS = ["fr3_finger_joint1", "fr3_finger_joint2"]
_ENCODERS: dict[str, Callable[[NDArray[np.uint8]], bytes]] = {
    "png": encode_png,
    "jpeg": encode_jpeg,
}


def write_bag(
    path: Path,
    trajectory: Trajectory,
    frames: Iterable[NDArray[np.uint8]],
    *,
    images: Literal["png", "jpeg", "raw"] = "png",
    storage: Literal["mcap", "sqlite3"] = "mcap",
    topics: BagTopics | None = None,
) -> None:
    """An episode as a bag, a folder. JPEG loses pixels; PNG and raw keep them all."""
    plugin = StoragePlugin[storage.upper()]
    with (
        written_whole(path) as scratch,
        Writer(scratch, version=9, storage_plugin=plugin) as writer,  # 9: that of ROS 2 Jazzy
    ):
        _Recording(writer, topics or BagTopics(), images).record(trajectory, frames)


class _Recording:
    """A bag that is being written."""

    def __init__(self, writer: Writer, topics: BagTopics, images: str) -> None:
        self.writer, self.topics, self.images = writer, topics, images
        self.connections: dict[str, Connection] = {}
        self.checksums: dict[str, int] = {}

    def record(self, trajectory: Trajectory, frames: Iterable[NDArray[np.uint8]]) -> None:
        calibration = trajectory.calibration
        if calibration is not None and calibration.camera_to_base is not None:
            self._write_camera_stand(trajectory.stamps[0], calibration.camera_to_base)
        for step, (stamp, frame) in enumerate(zip(trajectory.stamps, frames, strict=True)):
            if calibration is not None and calibration.intrinsics is not None:
                self._write_camera_info(stamp, calibration)
            self._write_state(stamp, trajectory.states[step])
            self._write_image(stamp, frame)
            if trajectory.commanded is not None and step < len(trajectory) - 1:
                self._write_action(trajectory, step)
        about = bag_schema.about_json(trajectory.task, trajectory.provenance, self.topics)
        self.writer.set_custom_data(bag_schema.ABOUT, about)
        checksums = bag_schema.checksums_json(self.checksums, about)
        self.writer.set_custom_data(bag_schema.CHECKSUMS, checksums)

    def _write_image(self, stamp: float, frame: NDArray[np.uint8]) -> None:
        header = _header(stamp, CAMERA_FRAME)
        if self.images == "raw":
            fields = rgb_to_fields(frame)
            fields["data"] = np.frombuffer(fields["data"], np.uint8)
            message = _new(bag_schema.IMAGE, header=header, **fields)
            self._write(self.topics.image, stamp, message)
        else:
            message = _new(
                bag_schema.COMPRESSED_IMAGE,
                header=header,
                format=f"rgb8; {self.images} compressed bgr8",
                data=np.frombuffer(_ENCODERS[self.images](frame), np.uint8),
            )
            self._write(f"{self.topics.image}/compressed", stamp, message)

    def _write_state(self, stamp: float, state: NDArray[np.float64]) -> None:
        position, quaternion, closedness = conventions.pose_from_state(torch.from_numpy(state))
        width = conventions.width_from_closedness(closedness, self.topics.max_width)
        pose = _new(
            "geometry_msgs/msg/Pose",
            position=_new("geometry_msgs/msg/Point", **_axes("xyz", position)),
            orientation=_new("geometry_msgs/msg/Quaternion", **_axes("xyzw", quaternion)),
        )
        pose_stamped = _new(bag_schema.POSE, header=_header(stamp, BASE_FRAME), pose=pose)
        self._write(self.topics.pose, stamp, pose_stamped)
        fingers = _new(
            bag_schema.JOINT_STATE,
            header=_header(stamp, ""),
            name=FINGERS,
            position=np.full(2, float(width) / 2),
            velocity=np.zeros(2),
            effort=np.zeros(2),
        )
        self._write(self.topics.fingers, stamp, fingers)

    def _write_action(self, trajectory: Trajectory, step: int) -> None:
        assert trajectory.commanded is not None
        stamp = trajectory.stamps[step]
        deltas = map(float, trajectory.commanded[step])
        message = _new(
            bag_schema.ACTION,
            header=_header(stamp, BASE_FRAME),
            image_stamp=_time(stamp),
            sequence=step + 1,
            **dict(zip(ACTION_NAMES, deltas, strict=True)),
            duration=float(trajectory.stamps[step + 1] - stamp),
            energy=float("nan"),
        )
        self._write(self.topics.action, stamp, message)

    def _write_camera_info(self, stamp: float, calibration: Calibration) -> None:
        assert calibration.intrinsics is not None
        projection = np.hstack((calibration.intrinsics, np.zeros((3, 1))))
        known = calibration.distortion
        message = _new(
            bag_schema.CAMERA_INFO,
            header=_header(stamp, CAMERA_FRAME),
            height=calibration.height,
            width=calibration.width,
            distortion_model="plumb_bob",
            d=np.zeros(5) if known is None else np.asarray(known, np.float64),
            k=calibration.intrinsics.flatten(),
            r=np.eye(3).flatten(),
            p=projection.flatten(),
            binning_x=0,
            binning_y=0,
            roi=_new(
                "sensor_msgs/msg/RegionOfInterest",
                x_offset=0,
                y_offset=0,
                height=0,
                width=0,
                do_rectify=False,
            ),
        )
        self._write(self.topics.camera_info, stamp, message)

    def _write_camera_stand(self, stamp: float, camera_to_base: NDArray[np.float64]) -> None:
        rotation = torch.from_numpy(np.ascontiguousarray(camera_to_base[:3, :3]))
        quaternion = conventions.matrix_to_quaternion(rotation)
        transform = _new(
            "geometry_msgs/msg/Transform",
            translation=_new("geometry_msgs/msg/Vector3", **_axes("xyz", camera_to_base[:3, 3])),
            rotation=_new("geometry_msgs/msg/Quaternion", **_axes("xyzw", quaternion)),
        )
        stamped = _new(
            "geometry_msgs/msg/TransformStamped",
            header=_header(stamp, BASE_FRAME),
            child_frame_id=CAMERA_FRAME,
            transform=transform,
        )
        message = _new(bag_schema.TRANSFORMS, transforms=[stamped])
        self._write(self.topics.transforms, stamp, message, qos=[bag_schema.LATCHED])

    def _write(self, name: str, stamp: float, message: Any, qos: Iterable[Qos] = ()) -> None:
        topic, kind = f"/{name}", message.__msgtype__
        if topic not in self.connections:
            self.connections[topic] = self.writer.add_connection(
                topic, kind, typestore=typestore(), offered_qos_profiles=list(qos)
            )
        data = bytes(typestore().serialize_cdr(message, kind))
        log_time = bag_schema.nanoseconds_of(_time(stamp))
        before = self.checksums.get(topic, 0)
        self.checksums[topic] = bag_schema.add_checksum(before, log_time, data)
        self.writer.write(self.connections[topic], log_time, data)


def _new(kind: str, **fields: Any) -> Any:
    return typestore().types[kind](**fields)


def _axes(names: str, values: Iterable[Any]) -> dict[str, float]:
    return dict(zip(names, map(float, values), strict=True))


def _header(stamp: float, frame_id: str) -> Any:
    return _new("std_msgs/msg/Header", stamp=_time(stamp), frame_id=frame_id)


def _time(stamp: float) -> Any:
    """Whole seconds apart from the rest, which keeps every bit of a stamp since 1970."""
    whole = int(np.floor(stamp))
    nanoseconds = min(round((float(stamp) - whole) * 1e9), 10**9 - 1)
    return _new("builtin_interfaces/msg/Time", sec=whole, nanosec=nanoseconds)
