"""MP4 videos through OpenCV, one frame at a time."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from vjepa_ros.episodes.files import EpisodeError, reading

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # our errors say it in one line


@dataclass(frozen=True, kw_only=True)
class Mp4:
    """A video; of one whose name ends in -stereo the left half."""

    path: Path
    length: int
    width: int
    height: int

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read what the file says of itself; raise EpisodeError where it is no video."""
        with reading(path, "file", "an MP4 video"):
            capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
            properties = (
                cv2.CAP_PROP_FRAME_COUNT,
                cv2.CAP_PROP_FRAME_WIDTH,
                cv2.CAP_PROP_FRAME_HEIGHT,
            )
            length, width, height = (int(capture.get(one)) for one in properties)
            capture.release()
            if min(length, width, height) < 1:
                raise ValueError(f"{length} frames of {width}×{height} pixels")
        width = width // 2 if path.stem.endswith("-stereo") else width
        return cls(path=path, length=length, width=width, height=height)

    def decode(self, steps: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
        """RGB frames at rising steps. All before them are gone through: each needs the last."""
        capture = cv2.VideoCapture(str(self.path), cv2.CAP_FFMPEG)
        position = 0
        try:
            for step in steps:
                while position < step and capture.grab():
                    position += 1
                done, bgr = capture.read()
                position += 1
                if not done or bgr.shape[0] != self.height or bgr.shape[1] < self.width:
                    raise EpisodeError(
                        self.path,
                        f"frame {step}",
                        f"found none of {self.width}×{self.height} pixels; expected {self.length} "
                        "frames: the video is cut off or damaged",
                    )
                rgb = cv2.cvtColor(bgr[:, : self.width], cv2.COLOR_BGR2RGB)
                yield rgb.astype(np.uint8, copy=False)
        finally:
            capture.release()


def write_mp4(path: Path, frames: Iterable[NDArray[np.uint8]], rate: float) -> int:
    """RGB frames as mp4v, which loses a little; returns how many there were."""
    writer: cv2.VideoWriter | None = None
    count = 0
    try:
        for frame in frames:
            if writer is None:
                size = frame.shape[1], frame.shape[0]
                writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), rate, size)
                if not writer.isOpened():
                    raise OSError(f"{path}: OpenCV cannot write an MP4 of {size[0]}×{size[1]}")
            writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
            count += 1
    finally:
        if writer is not None:
            writer.release()
    return count
