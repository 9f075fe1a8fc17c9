"""Episodes as npz: our own layout, one file an episode, and the pairs that Meta publishes.

Our layout keeps each frame as the bytes of a PNG or JPEG file, so that training can decode
the few frames of a window and leave the others packed. The zip's checksums cover all of it.
docs/EPISODES.md lists the keys.
"""

import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.episodes.calibration import Calibration
from vjepa_ros.episodes.episode import EpisodeReader, Trajectory
from vjepa_ros.episodes.files import EpisodeError, reading, written_whole
from vjepa_ros.images import decode_picture, encode_jpeg, encode_png

FORMAT = "vjepa_ros episode 1"
UNSTAMPED_PERIOD = 0.25  # seconds between frames of a file without stamps: the paper's 4 fps
_TRUTH = "truth/"
_ENCODERS = {"png": encode_png, "jpeg": encode_jpeg}


def write_npz(
    path: Path,
    trajectory: Trajectory,
    frames: Iterable[NDArray[np.uint8]],
    encoding: Literal["png", "jpeg"] = "png",
) -> None:
    """An episode in our own layout; PNG keeps every pixel, JPEG does not."""
    encode = _ENCODERS[encoding]
    pictures = [encode(frame) for frame in frames]
    if len(pictures) != len(trajectory):
        raise ValueError(f"{len(pictures)} frames, expected {len(trajectory)}: one for each state")
    calibration = trajectory.calibration
    about = {
        "format": FORMAT,
        "task": trajectory.task,
        "provenance": trajectory.provenance,
        "calibration": calibration.to_json() if calibration else None,
    }
    arrays: dict[str, Any] = {
        "about": np.array(json.dumps(about)),
        "states": trajectory.states,
        "stamps": trajectory.stamps,
        "frames": np.frombuffer(b"".join(pictures), np.uint8),
        "frame_ends": np.cumsum([len(picture) for picture in pictures], dtype=np.int64),
    }
    if trajectory.commanded is not None:
        arrays["commanded"] = trajectory.commanded
    arrays |= {_TRUTH + name: values for name, values in trajectory.truth.items()}
    with written_whole(path) as scratch, scratch.open("wb") as file:
        np.savez(file, **arrays)


def read_npz(path: Path) -> EpisodeReader:
    """An episode of our own layout, or one of Meta's `observations` and `states`."""
    with reading(path, "file", "an npz archive (a zip of npy arrays)"):
        arrays = _load(path)
    if "observations" in arrays:
        return _reader_of_pair(path, arrays)
    about = _about(path, arrays)
    with reading(path, "trajectory", "the arrays that docs/EPISODES.md lists"):
        calibration = about["calibration"]
        trajectory = Trajectory(
            states=arrays["states"],
            stamps=arrays["stamps"],
            commanded=arrays.get("commanded"),
            calibration=Calibration.from_json(calibration) if calibration else None,
            task=about["task"],
            provenance=about["provenance"],
            truth={
                name.removeprefix(_TRUTH): values
                for name, values in arrays.items()
                if name.startswith(_TRUTH)
            },
        )
    with reading(path, "frames", f"{len(trajectory)} packed pictures and where they end"):
        pictures = _pictures(arrays, len(trajectory))

    def decode(steps: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
        shape = None
        for step in steps:
            with reading(path, f"frame {step}", "a PNG or JPEG picture, all of one size"):
                frame = decode_picture(pictures[step].tobytes())
                shape = shape or frame.shape
                if frame.shape != shape:
                    raise ValueError(f"a frame of {frame.shape} after one of {shape}")
            yield frame

    return EpisodeReader(path=path, trajectory=trajectory, decode=decode)


def _load(path: Path) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(path) as archive:  # read() fails where a checksum does
        members = {name: archive.read(name) for name in archive.namelist()}
    return {
        name.removesuffix(".npy"): np.load(io.BytesIO(member), allow_pickle=False)
        for name, member in members.items()
    }


def _about(path: Path, arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    if "about" not in arrays:
        raise EpisodeError(
            path,
            "keys",
            f"found {', '.join(arrays) or 'none'}; expected `about`, `states`, `stamps`, "
            "`frames`, `frame_ends` (an episode of this project) or `observations` and `states` "
            "(Meta's examples)",
        )
    with reading(path, "about", f"JSON with format {FORMAT!r}"):
        about: dict[str, Any] = json.loads(str(arrays["about"]))
        if about["format"] != FORMAT:
            raise ValueError(f"format {about['format']!r}")
    return about


def _reader_of_pair(path: Path, arrays: dict[str, NDArray[Any]]) -> EpisodeReader:
    """Meta's layout: observations uint8 [1, T, height, width, 3], states [1, T, 7], no stamps."""
    with reading(path, "observations", "uint8 [1, T, height, width, 3]"):
        (frames,) = arrays["observations"]
    with reading(path, "states", "[1, T, 7]"):
        (states,) = arrays["states"]
    with reading(path, "observations and states", "one RGB frame for each state"):
        trajectory = Trajectory(
            states=states.astype(np.float64),
            stamps=UNSTAMPED_PERIOD * np.arange(len(states), dtype=np.float64),
            provenance={"source": path.name, "stamps": f"none, taken as {UNSTAMPED_PERIOD} s"},
        )
        trajectory.with_frames(frames)
    return EpisodeReader(
        path=path,
        trajectory=trajectory,
        decode=lambda steps: (frames[step] for step in steps),
    )


def _pictures(arrays: dict[str, NDArray[Any]], steps: int) -> list[NDArray[np.uint8]]:
    packed, ends = arrays["frames"], arrays["frame_ends"]
    if ends.shape != (steps,) or packed.dtype != np.uint8:
        raise ValueError(f"frames {packed.dtype}, frame_ends {list(ends.shape)}")
    if ends[-1] != len(packed) or (np.diff(ends, prepend=0) <= 0).any():
        raise ValueError(f"offsets up to {ends[-1]} into {len(packed)} bytes")
    return np.split(packed, ends[:-1])
