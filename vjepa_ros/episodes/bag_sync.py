"""Tool pose, fingers and commands of a bag at the stamps of its images.

Pose and width are interpolated between the messages around an image: position and width
linearly, orientation along the shortest turn. Messages at the very stamp of an image, as
our own bags have them, come out as they are.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from vjepa_ros import conventions
from vjepa_ros.episodes.bag_scan import BagScan
from vjepa_ros.episodes.files import EpisodeError, reading

MAX_STATE_AGE = 0.1  # seconds between an image and the nearest pose: more is a gap
_SAME_STAMP = 1e-3  # seconds


@dataclass(frozen=True, kw_only=True)
class Track:
    """One topic's numbers over time."""

    path: Path
    topic: str
    stamps: NDArray[np.float64]  # [N] rising
    rows: NDArray[np.float64]  # [N, D]

    @classmethod
    def of(cls, scan: BagScan, name: str, clock: str) -> "Track":
        """Take the rows of one topic from a scan, by a clock."""
        topic, stamps = scan.channels[name].topic, scan.stamps(name, clock)
        if len(stamps) == 0:
            raise EpisodeError(scan.path, topic, f"found no message{scan.sought(name)}")
        rows = np.asarray(scan.rows[name], np.float64).reshape(len(stamps), -1)
        fresh = np.diff(stamps, prepend=-np.inf) != 0  # a repeated message adds nothing
        check_rising(scan.path, topic, stamps[fresh])
        return cls(path=scan.path, topic=topic, stamps=stamps[fresh], rows=rows[fresh])

    def check_near(self, stamps: NDArray[np.float64]) -> None:
        """Raise unless there is a message near each of the images at `stamps`."""
        age = np.abs(stamps - self.stamps[nearest(self.stamps, stamps)])
        if (age > MAX_STATE_AGE).any():
            worst = int(age.argmax())
            raise EpisodeError(
                self.path,
                self.topic,
                f"found nothing for {age[worst]:.3f} s around the image at {stamps[worst]:.3f} s; "
                f"expected a message within {MAX_STATE_AGE:g} s of each image",
            )


@dataclass(frozen=True, kw_only=True)
class StateTrack:
    """The state of the arm over time."""

    pose: Track  # rows: position, quaternion (x, y, z, w)
    width: Track  # rows: metres between the fingers
    max_width: float

    @classmethod
    def of(cls, scan: BagScan) -> "StateTrack":
        """Join the tracks of pose and fingers."""
        topics = scan.topics
        pose = Track.of(scan, "pose", topics.clock)
        with reading(scan.path, pose.topic, "unit quaternions (x, y, z, w)"):
            conventions.check_quaternion(torch.from_numpy(pose.rows[:, 3:]))
        width = Track.of(scan, "fingers", topics.clock)
        return cls(pose=pose, width=width, max_width=topics.max_width)

    def covers(self, stamps: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which of the stamps [N] lie between the first and the last message of both topics."""
        first = max(self.pose.stamps[0], self.width.stamps[0])
        last = min(self.pose.stamps[-1], self.width.stamps[-1])
        return (stamps >= first) & (stamps <= last)

    def knows(self, stamps: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which of the stamps [N] have a message of both topics near them."""
        ages = [np.abs(stamps - one.stamps[nearest(one.stamps, stamps)]) for one in self._tracks]
        return self.covers(stamps) & (np.maximum(*ages) <= MAX_STATE_AGE)

    @property
    def _tracks(self) -> tuple[Track, Track]:
        return self.pose, self.width

    def at(self, stamps: NDArray[np.float64]) -> NDArray[np.float64]:
        """States [N, 7] at stamps [N] that are covered."""
        for track in self._tracks:
            track.check_near(stamps)
        position = [np.interp(stamps, self.pose.stamps, axis) for axis in self.pose.rows[:, :3].T]
        width = np.interp(stamps, self.width.stamps, self.width.rows[:, 0])
        with reading(self.width.path, self.width.topic, "finger joints in metres"):
            closedness = conventions.closedness_from_width(torch.from_numpy(width), self.max_width)
        with reading(self.pose.path, self.pose.topic, "a pose in metres in the base frame"):
            return conventions.state_from_pose(
                torch.from_numpy(np.stack(position, -1)),
                torch.from_numpy(self._orientation(stamps)),
                closedness,
            ).numpy()

    def _orientation(self, stamps: NDArray[np.float64]) -> NDArray[np.float64]:
        quaternions = self.pose.rows[:, 3:]
        if len(quaternions) == 1:
            return np.repeat(quaternions, len(stamps), axis=0)
        turn = Slerp(self.pose.stamps, Rotation.from_quat(quaternions))
        return np.asarray(turn(stamps).as_quat(), np.float64)


def commanded_actions(
    scan: BagScan,
    track: StateTrack,
    stamps: NDArray[np.float64],
    states: NDArray[np.float64],
) -> NDArray[np.float64] | None:
    """From each image's state to the target that was commanded last, [T - 1, 7].

    A command is relative to the state at its own image, and its target holds until the
    next command; before the first one the arm was told nothing: no motion. None where no
    command was recorded.
    """
    rows = np.asarray(scan.rows["action"], np.float64).reshape(-1, 9)
    issued = rows[:, 0] + rows[:, 1] * 1e-9  # the stamps of the images that they answer
    same = nearest(stamps, issued)
    issued = np.where(np.abs(stamps[same] - issued) <= _SAME_STAMP, stamps[same], issued)
    usable = track.covers(issued)
    order = np.flatnonzero(usable)[np.argsort(issued[usable], kind="stable")]
    if len(order) == 0:
        return None
    issued, deltas = issued[order], torch.from_numpy(rows[order, 2:])
    topic = scan.channels["action"].topic
    with reading(scan.path, topic, "differences in metres, radians and closedness"):
        conventions.check_action(deltas)
    targets = conventions.apply_action(torch.from_numpy(track.at(issued)), deltas)
    latest = np.searchsorted(issued, stamps[:-1], side="right") - 1
    current = torch.from_numpy(states[:-1])
    told = torch.from_numpy(latest >= 0)[:, None]
    held = torch.where(told, targets[torch.from_numpy(latest.clip(0))], current)
    return conventions.action_between(current, held).numpy()


def nearest(known: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each of `wanted` [M] the index of the nearest of the rising `known` [N]."""
    after = np.searchsorted(known, wanted).clip(0, len(known) - 1)
    before = (after - 1).clip(0)
    closer = np.abs(wanted - known[before]) <= np.abs(known[after] - wanted)
    return np.where(closer, before, after)


def check_rising(path: Path, topic: str, stamps: NDArray[np.float64]) -> None:
    """Raise EpisodeError where a stamp does not come after the one before it."""
    steps = np.diff(stamps)
    if (steps <= 0).any():
        step = int(np.argmax(steps <= 0))
        raise EpisodeError(
            path,
            topic,
            f"found stamp {stamps[step + 1]:.6f} s of message {step + 1} after "
            f"{stamps[step]:.6f} s; expected rising stamps (where a driver leaves them empty, "
            "take the recorder's: --topic clock=recorder)",
        )
