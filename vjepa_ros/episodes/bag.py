"""Episodes from rosbag2 bags, read with rosbags: no ROS is needed.

A step of the episode is a camera image. Images from before the first or after the last
message of pose and fingers are left out, and counted in the provenance.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import Connection

from vjepa_ros.episodes import bag_schema
from vjepa_ros.episodes.bag_scan import BagScan, open_bag, scan_bag
from vjepa_ros.episodes.bag_schema import typestore
from vjepa_ros.episodes.bag_sync import StateTrack, check_rising, commanded_actions
from vjepa_ros.episodes.bag_transforms import to_root
from vjepa_ros.episodes.calibration import Calibration
from vjepa_ros.episodes.episode import EpisodeReader, Trajectory
from vjepa_ros.episodes.files import EpisodeError, reading
from vjepa_ros.images import compressed_to_rgb, to_rgb


def read_bag(
    path: Path, given: Mapping[str, Any] | None = None, *, gaps: bool = False
) -> EpisodeReader:
    """The episode of a bag: a folder with metadata.yaml, or one .mcap or .db3 file.

    `given` are settings of BagTopics, which go before those that the bag names itself. With
    `gaps` images are left out, and not refused, where the arm was not heard.
    Frames are decoded as they are asked for, so memory stays flat however long the bag is.
    """
    scan = scan_bag(path, given or {})
    topics = scan.topics
    track = StateTrack.of(scan)
    image = scan.channels["image"]
    stamps = scan.stamps("image", topics.clock)
    check_rising(path, image.topic, stamps)
    covered = np.flatnonzero(track.knows(stamps) if gaps else track.covers(stamps))
    if len(covered) < 2:
        raise EpisodeError(
            path,
            image.topic,
            f"found {len(covered)} of {len(stamps)} images while pose and fingers were recorded; "
            "expected at least 2",
        )
    log_times = np.asarray(scan.log_times["image"], np.int64)
    if (np.diff(log_times) < 0).any():  # its frames could not be found again
        raise EpisodeError(path, image.topic, "found receive times that fall; expected rising ones")
    frames = _Frames(path=path, connection=image, log_times=log_times, messages=covered)
    stamps = stamps[covered]
    states = track.at(stamps)
    provenance = dict(scan.about.get("provenance") or {"source": path.name})
    if skipped := len(log_times) - len(covered):
        provenance["images_without_state"] = skipped
    with reading(path, "trajectory", "states and stamps that fit each other"):
        trajectory = Trajectory(
            states=states,
            stamps=stamps,
            commanded=commanded_actions(scan, track, stamps, states),
            calibration=_calibration(scan, next(frames.decode([0]))),
            task=str(scan.about.get("task", "")),
            provenance=provenance,
        )
    return EpisodeReader(path=path, trajectory=trajectory, decode=frames.decode)


@dataclass(frozen=True, kw_only=True)
class _Frames:
    """The pictures of a bag that belong to steps of the episode."""

    path: Path
    connection: Connection
    log_times: NDArray[np.int64]  # of every image message
    messages: NDArray[np.int64]  # [T] which message each step's image is

    def decode(self, steps: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
        wanted = [int(self.messages[step]) for step in steps]
        shape = None
        for message, raw in self._messages(wanted):
            with reading(self.path, f"{self.connection.topic} {message}", "a picture like others"):
                frame = self._picture(raw)
                shape = shape or frame.shape
                if frame.shape != shape:
                    raise ValueError(f"a picture of {frame.shape} after one of {shape}")
            yield frame

    def _messages(self, wanted: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """The wanted image messages, rising; the bag's index leads to the first of them."""
        if not wanted:
            return
        start, stop = self.log_times[wanted[0]], self.log_times[wanted[-1]] + 1
        first = int(np.searchsorted(self.log_times, start))
        remaining = iter(wanted)
        awaited = next(remaining)
        with open_bag(self.path) as bag:
            channel = next(one for one in bag.connections if one.topic == self.connection.topic)
            for message, (_, _, raw) in enumerate(
                bag.messages([channel], int(start), int(stop)), first
            ):
                if message == awaited:
                    yield message, raw
                    awaited = next(remaining, -1)

    def _picture(self, raw: bytes) -> NDArray[np.uint8]:
        message = typestore().deserialize_cdr(raw, self.connection.msgtype)
        if self.connection.msgtype == bag_schema.COMPRESSED_IMAGE:
            return compressed_to_rgb(message)
        return to_rgb(message)


# --- where the camera stands -------------------------------------------------------------


def _calibration(scan: BagScan, frame: NDArray[np.uint8]) -> Calibration | None:
    height, width = frame.shape[:2]
    info, stand = scan.camera_info, _camera_to_base(scan)
    if info is None and stand is None:
        return None
    if info is None:
        return Calibration(width=width, height=height, camera_to_base=stand)
    if (info.width, info.height) != (width, height):
        raise EpisodeError(
            scan.path,
            scan.channels["camera_info"].topic,
            f"found a calibration for {info.width}×{info.height} pixels; expected {width}×{height} "
            "as the images have (name another with --topic camera_info=NAME, or none at all)",
        )
    intrinsics = np.asarray(info.k, np.float64).reshape(3, 3)
    distortion = np.asarray(info.d, np.float64)
    return Calibration(
        width=width,
        height=height,
        intrinsics=intrinsics if intrinsics.any() else None,  # zeros: not calibrated
        distortion=distortion if distortion.any() else None,
        camera_to_base=stand,
    )


def _camera_to_base(scan: BagScan) -> NDArray[np.float64] | None:
    """From the camera's optical frame to the frame of the tool pose, where /tf_static tells."""
    parents = {one.child_frame_id: one for one in scan.transforms}
    camera, camera_root = to_root(scan.frame_ids["image"], parents)
    base, base_root = to_root(scan.frame_ids["pose"], parents)
    if camera_root != base_root:
        return None
    return np.linalg.inv(base) @ camera
