"""Videos of several episodes through PyAV, one frame at a time, found by their times."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Self

import av
import numpy as np
from numpy.typing import NDArray

from vjepa_ros.episodes.files import EpisodeError, reading

CODEC: Final = "libx264"
# Little is lost but colours at half the resolution; every second frame can be sought.
_QUALITY = {"crf": "15", "g": "2", "bf": "0", "preset": "veryfast"}
_FAR = 64  # frames ahead, to which seeking is shorter than decoding

av.logging.set_level(av.logging.PANIC)  # our errors say it in one line


@dataclass(frozen=True, kw_only=True)
class Film:
    """The part of a video that shows one episode."""

    path: Path
    times: NDArray[np.float64]  # [T] of each frame, seconds since the video's start
    rate: float  # frames a second
    size: tuple[int, int]  # height, width

    def decode(self, steps: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
        """RGB frames at rising steps."""
        if not steps:
            return
        with (
            reading(self.path, "video", "a whole MP4"),
            av.open(str(self.path)) as container,
        ):
            video = container.streams.video[0]
            decoded, reached = iter(()), -np.inf  # type: tuple[Iterator[Any], float]
            for step in steps:
                time = self.times[step]
                if not reached < time < reached + _FAR / self.rate:
                    container.seek(int(time / video.time_base), stream=video)
                    decoded = container.decode(video)
                picture, reached = self._shown_at(step, time, decoded)
                yield picture

    def _shown_at(
        self, step: int, time: float, decoded: Iterator[Any]
    ) -> tuple[NDArray[np.uint8], float]:
        """Decode up to the frame of a time; give it and its own time."""
        for frame in decoded:
            if frame.time < time - 0.5 / self.rate:
                continue
            if frame.time > time + 0.5 / self.rate:
                break
            if (frame.height, frame.width) != self.size:
                height, width = self.size
                raise EpisodeError(
                    self.path,
                    f"frame {step}",
                    f"found {frame.width}×{frame.height} pixels; expected {width}×{height}",
                )
            return frame.to_ndarray(format="rgb24"), frame.time
        raise EpisodeError(
            self.path,
            f"frame {step}",
            f"found none at {time:.3f} s; expected one every {1 / self.rate:.3f} s: the video is "
            "cut off or damaged",
        )


class FilmWriter:
    """An MP4 that grows by a frame at a time; two frames of different sizes are an error."""

    def __init__(self, path: Path, rate: int, size: tuple[int, int]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.size, self.length = path, size, 0
        self._file = av.open(str(path), "w")
        self._stream = self._file.add_stream(CODEC, rate=Fraction(rate), options=_QUALITY)
        self._stream.height, self._stream.width = size
        # Half the resolution of colours, as everybody has it, needs even sizes.
        self._stream.pix_fmt = "yuv420p" if not any(side % 2 for side in size) else "yuv444p"

    @property
    def about(self) -> dict[str, Any]:
        """Give what the format of the set wants to know."""
        return {"video.codec": "h264", "video.pix_fmt": self._stream.pix_fmt}

    def add(self, frame: NDArray[np.uint8]) -> None:
        """Append an RGB frame."""
        if frame.shape[:2] != self.size:
            (height, width), (old_height, old_width) = frame.shape[:2], self.size
            raise ValueError(
                f"a frame of {width}×{height} pixels after one of {old_width}×{old_height}, "
                "expected all of one size in a set"
            )
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        picture.pts = self.length
        self.length += 1
        for packet in self._stream.encode(picture):
            self._file.mux(packet)

    def close(self) -> None:
        """Write what is held back."""
        for packet in self._stream.encode():
            self._file.mux(packet)
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
