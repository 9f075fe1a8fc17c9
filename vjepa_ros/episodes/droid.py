"""Episodes in the raw layout of DROID: a folder with metadata_*.json, trajectory.h5 and MP4s.

Row k of trajectory.h5 and frame k of each MP4 belong together. The MP4 says 60 frames a
second, which is the camera's rate and not the 15 Hz at which DROID recorded: time is read
from the stamps in trajectory.h5. docs/EPISODES.md lists the keys.
"""

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from vjepa_ros import conventions
from vjepa_ros.episodes.calibration import Calibration
from vjepa_ros.episodes.episode import EpisodeReader, Trajectory
from vjepa_ros.episodes.files import EpisodeError, checksum, reading, written_whole
from vjepa_ros.episodes.mp4 import Mp4, write_mp4

CONTROL_RATE = 15.0  # Hz, of DROID
CAMERA_RATE = 60.0  # Hz, what DROID's MP4s claim
CAMERAS = ("left", "right", "ext1", "ext2", "wrist")

_POSE = "observation/robot_state/cartesian_position"
_GRIPPER = "observation/robot_state/gripper_position"
_TARGET_POSE = "action/cartesian_position"
_TARGET_GRIPPER = "action/gripper_position"
_EXTRINSICS = "observation/camera_extrinsics/{}_left"
_INTRINSICS = "observation/camera_intrinsics/{}_left"
_CAMERA_STAMPS = "observation/timestamp/cameras/{}_frame_received"
_ROBOT_STAMPS = "observation/timestamp/robot_state/read_start"
_TRUTH = "truth"
_CHECKSUMS = "checksums"  # of the other files; only folders that we wrote have them
_SERIAL = "10000001"  # of the camera in folders that we write
_MAX_UNPAIRED = 5  # frames or rows too many at the end


def read_droid(path: Path, camera: str = "left") -> EpisodeReader:
    """The episode of a folder, seen by `left`, `right`, `ext1`, `ext2`, `wrist` or a serial."""
    metadata = _metadata(path)
    with reading(path, _CHECKSUMS, "a number for each file"):
        for name, expected in metadata.get(_CHECKSUMS, {}).items():
            if (found := checksum(path / name)) != expected:
                raise EpisodeError(path / name, "checksum", f"found {found}; expected {expected}")
    serial, file = _video_file(path, metadata, camera)
    video = Mp4.open(file)
    table = path / "trajectory.h5"
    with reading(table, "file", "an undamaged HDF5 file"), h5py.File(table, "r") as file:
        trajectory = _Table(table, file).trajectory(metadata, serial, video)
    return EpisodeReader(path=path, trajectory=trajectory, decode=video.decode)


def write_droid(path: Path, trajectory: Trajectory, frames: Iterable[NDArray[np.uint8]]) -> None:
    """An episode as a folder with one camera. The MP4, mp4v like DROID's, loses a little."""
    with written_whole(path) as scratch:
        video, table = scratch / "recordings" / "MP4" / f"{_SERIAL}.mp4", scratch / "trajectory.h5"
        video.parent.mkdir(parents=True)
        written = write_mp4(video, frames, CAMERA_RATE)
        if written != len(trajectory):
            raise ValueError(f"{written} frames, expected {len(trajectory)}: one for each state")
        _write_table(table, trajectory)
        name = str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(path.parts[-3:])))
        mp4_path = str(video.relative_to(scratch))
        metadata = {
            "uuid": name,
            "current_task": trajectory.task,
            "trajectory_length": len(trajectory),
            "hdf5_path": table.name,
            "ext1_cam_serial": _SERIAL,
            "ext1_mp4_path": mp4_path,
            "left_mp4_path": mp4_path,
            "provenance": trajectory.provenance,
            _CHECKSUMS: {str(one.relative_to(scratch)): checksum(one) for one in (video, table)},
        }
        (scratch / f"metadata_{name}.json").write_text(json.dumps(metadata, indent=1))


# --- reading -----------------------------------------------------------------------------


def _metadata(path: Path) -> dict[str, Any]:
    files = sorted(path.glob("metadata_*.json"))
    if len(files) != 1:
        raise EpisodeError(
            path,
            "metadata_*.json",
            f"found {len(files)} files of that name; expected one (DROID leaves it out where a "
            "recording is incomplete)",
        )
    with reading(files[0], "file", "a JSON object"):
        return dict(json.loads(files[0].read_text()))


def _video_file(path: Path, metadata: dict[str, Any], camera: str) -> tuple[str, Path]:
    """A camera's serial number and its MP4, or the stereo one where there is no other."""
    serial = camera
    if camera in CAMERAS:
        key = f"{camera}_mp4_path"
        if not isinstance(metadata.get(key), str):
            known = [name for name in CAMERAS if metadata.get(f"{name}_mp4_path")]
            raise EpisodeError(
                path, key, f"found none; expected a path (of {', '.join(known) or 'no camera'})"
            )
        serial = Path(metadata[key]).stem
    folder = path / "recordings" / "MP4"
    for file in (folder / f"{serial}.mp4", folder / f"{serial}-stereo.mp4"):
        if file.exists():
            return serial, file
    here = ", ".join(sorted(file.name for file in folder.glob("*.mp4"))) or "no MP4"
    raise EpisodeError(folder, f"{serial}.mp4", f"found {here}; expected this camera's")


@dataclass(frozen=True)
class _Table:
    """trajectory.h5, in which each dataset has a row for each step."""

    path: Path
    file: h5py.File

    def trajectory(self, metadata: dict[str, Any], serial: str, video: Mp4) -> Trajectory:
        states = self._states(_POSE, _GRIPPER)
        steps = self._paired(len(states), video)
        stamps, clock = self._stamps(serial, len(states))
        provenance = metadata.get("provenance") or {
            "source": "DROID",
            "uuid": metadata.get("uuid"),
            "lab": metadata.get("lab"),
            "success": metadata.get("success"),
            "camera": serial,
            "stamps": clock,
        }
        if len(states) != video.length:
            provenance = {**provenance, "rows": len(states), "video_frames": video.length}
        return Trajectory(
            states=states[:steps],
            stamps=stamps[:steps],
            commanded=self._commanded(states)[: steps - 1] if _TARGET_POSE in self.file else None,
            calibration=self._calibration(serial, video),
            task=str(metadata.get("current_task") or ""),
            provenance=provenance,
            truth={name: rows[:steps] for name, rows in self._truth().items()},
        )

    def _truth(self) -> dict[str, NDArray[Any]]:
        """All that lies below the group, by its path there."""
        found: dict[str, NDArray[Any]] = {}

        def note(name: str, item: h5py.Group | h5py.Dataset) -> None:
            if isinstance(item, h5py.Dataset):
                found[name] = item[:]

        if _TRUTH in self.file:
            self.file[_TRUTH].visititems(note)
        return found

    def _rows(self, key: str, *shape: int) -> NDArray[np.float64]:
        with reading(self.path, key, f"a dataset [T, {', '.join(map(str, shape))}]"):
            if key not in self.file:
                raise ValueError("no such dataset")
            rows = np.asarray(self.file[key], np.float64)
            if rows.ndim != 1 + len(shape) or rows.shape[1:] != shape:
                raise ValueError(f"one of shape {list(rows.shape)}")
            return rows

    def _states(self, pose_key: str, gripper_key: str) -> NDArray[np.float64]:
        poses, closedness = self._rows(pose_key, 6), self._rows(gripper_key)
        if len(poses) != len(closedness):
            raise EpisodeError(
                self.path, gripper_key, f"found {len(closedness)} rows; expected {len(poses)}"
            )
        with reading(self.path, gripper_key, "closedness: 0 open, 1 closed"):
            # 1 - width / max_width, and a real hand reads a little past its stops.
            width = conventions.FRANKA_HAND_WIDTH * (1 - torch.from_numpy(closedness))
            closedness = conventions.closedness_from_width(width).numpy()
        return np.concatenate((poses, closedness[:, None]), -1)

    def _paired(self, rows: int, video: Mp4) -> int:
        """How many rows have a frame; a few may lack one where the recording was stopped."""
        if abs(rows - video.length) > _MAX_UNPAIRED:
            raise EpisodeError(
                video.path,
                "frames",
                f"found {video.length}; expected {rows}, the rows of {self.path.name}",
            )
        return min(rows, video.length)

    def _stamps(self, serial: str, rows: int) -> tuple[NDArray[np.float64], str]:
        """Seconds of each row and where they are from: camera, robot, or DROID's 15 Hz."""
        for key in (_CAMERA_STAMPS.format(serial), _ROBOT_STAMPS):
            if key in self.file:
                stamps = self._rows(key) / 1000  # milliseconds
                if len(stamps) == rows and (np.diff(stamps) > 0).all():
                    return stamps, key
        return np.arange(rows) / CONTROL_RATE, f"none, taken as {CONTROL_RATE:g} Hz"

    def _commanded(self, states: NDArray[np.float64]) -> NDArray[np.float64]:
        """From each state to the pose that the arm was sent to in that step."""
        targets = self._states(_TARGET_POSE, _TARGET_GRIPPER)
        if len(targets) != len(states):
            raise EpisodeError(
                self.path, _TARGET_POSE, f"found {len(targets)} rows; expected {len(states)}"
            )
        pair = torch.from_numpy(states[:-1]), torch.from_numpy(targets[:-1])
        return conventions.action_between(*pair).numpy()

    def _calibration(self, serial: str, video: Mp4) -> Calibration:
        extrinsics, intrinsics = _EXTRINSICS.format(serial), _INTRINSICS.format(serial)
        stand = self._rows(extrinsics, 6) if extrinsics in self.file else None
        fixed = stand is not None and len(stand) > 0 and np.ptp(stand, axis=0).max() < 1e-6
        return Calibration(
            width=video.width,
            height=video.height,
            camera_to_base=_matrix(stand[0]) if stand is not None and fixed else None,
            intrinsics=self._rows(intrinsics, 3, 3)[0] if intrinsics in self.file else None,
        )


def _matrix(pose: NDArray[np.float64]) -> NDArray[np.float64]:
    """A pose, [6] with extrinsic xyz angles, as a transform [4, 4]."""
    matrix = np.eye(4)
    matrix[:3, :3] = conventions.euler_to_matrix(torch.from_numpy(pose[3:])).numpy()
    matrix[:3, 3] = pose[:3]
    return matrix


# --- writing -----------------------------------------------------------------------------


def _write_table(path: Path, trajectory: Trajectory) -> None:
    states = trajectory.states
    tables = {
        _POSE: states[:, :6],
        _GRIPPER: states[:, 6],
        _CAMERA_STAMPS.format(_SERIAL): trajectory.stamps * 1000,
        **{f"{_TRUTH}/{name}": values for name, values in trajectory.truth.items()},
    }
    if trajectory.commanded is not None:
        start = torch.from_numpy(states[:-1])
        targets = conventions.apply_action(start, torch.from_numpy(trajectory.commanded)).numpy()
        targets = np.concatenate((targets, states[-1:]))
        tables |= {_TARGET_POSE: targets[:, :6], _TARGET_GRIPPER: targets[:, 6]}
    calibration = trajectory.calibration
    if calibration is not None and calibration.camera_to_base is not None:
        rotation = torch.from_numpy(np.ascontiguousarray(calibration.camera_to_base[:3, :3]))
        angles = conventions.matrix_to_euler(rotation).numpy()
        stand = np.concatenate((calibration.camera_to_base[:3, 3], angles))
        tables[_EXTRINSICS.format(_SERIAL)] = np.tile(stand, (len(states), 1))
    if calibration is not None and calibration.intrinsics is not None:
        tables[_INTRINSICS.format(_SERIAL)] = np.tile(calibration.intrinsics, (len(states), 1, 1))
    with h5py.File(path, "w") as file:
        for key, values in tables.items():
            file.create_dataset(key, data=values)
