"""Episodes of LeRobot datasets, v3.0 and v2.1: parquet, and MP4s of one or several episodes.

A set is a folder with meta/info.json; its episodes are called SET/episode_000000 and so on, in
whatever files they lie. docs/LEROBOT.md tells what of a set is read.
"""

import functools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from vjepa_ros import conventions
from vjepa_ros.episodes.calibration import Calibration
from vjepa_ros.episodes.episode import EpisodeReader, FrameSource, Trajectory
from vjepa_ros.episodes.files import EpisodeError, reading
from vjepa_ros.episodes.film import Film
from vjepa_ros.episodes.lerobot_map import FeatureError, FeatureMap, Meaning, check_gripper
from vjepa_ros.episodes.lerobot_names import ABOUT, INFO, LABELS, episode_name, set_of
from vjepa_ros.episodes.lerobot_stills import Stills

_SAMPLE = 20  # episodes, of which the gripper is looked at
_SUCCESS = "is_episode_successful"


def read_lerobot(path: Path, features: FeatureMap | None = None) -> EpisodeReader:
    """The episode SET/episode_NNNNNN, or that of a set which has one alone."""
    root, index = set_of(path)
    dataset = open_set(root, features or FeatureMap())
    if index is None:
        if len(dataset) != 1:
            raise EpisodeError(
                root,
                "path",
                f"found a set of {len(dataset)} episodes; expected one of them, as "
                f"{root / episode_name(0)}",
            )
        index = 0
    return dataset.reader(path, index)


def open_set(root: Path, features: FeatureMap) -> "LeRobotSet":
    """Read what a set says of itself, and look at whether the feature map can be meant."""
    written = tuple(file.stat().st_mtime_ns for file in sorted((root / "meta").rglob("*")))
    return _opened(root, features, written)


@functools.lru_cache(maxsize=4)  # a process opens the episodes of a set one by one
def _opened(root: Path, features: FeatureMap, written: tuple[int, ...]) -> "LeRobotSet":
    file = root / INFO
    with reading(file, "file", "JSON of LeRobot v3.0 or v2.1, with features, fps and paths"):
        info: dict[str, Any] = json.loads(file.read_text())
        version = info["codebase_version"]
        if version not in _EPISODES:
            raise EpisodeError(
                file,
                "codebase_version",
                f"found {version!r}; expected {' or '.join(_EPISODES)} (LeRobot's own scripts "
                "convert others)",
            )
        fps = float(info["fps"])
        if not fps > 0:
            raise EpisodeError(file, "fps", f"found {fps:g}; expected frames a second")
        with _about_features(file):
            meaning = Meaning.of(info["features"], features)
        shape = [int(side) for side in info["features"][meaning.image]["shape"]]
        height, width = shape[1:] if shape[0] == 3 else shape[:2]  # channels first, or last
        labels = _labels(root)
        dataset = LeRobotSet(
            root=root,
            info=info,
            fps=fps,
            meaning=meaning,
            size=(height, width),
            episodes=_EPISODES[version](root, info, meaning.image),
            labels=labels,
        )
    dataset.check_gripper()
    return dataset


@dataclass(frozen=True, kw_only=True)
class Stored:
    """Where an episode lies."""

    length: int
    task: str
    table: Path
    video: Path | None  # None: the pictures are in the table
    start: float = 0.0  # of its first frame in the video, seconds


@dataclass(frozen=True, kw_only=True, eq=False)
class LeRobotSet:
    """A set that was opened; its numbers and pictures are read episode by episode."""

    root: Path
    info: dict[str, Any]
    fps: float
    meaning: Meaning
    size: tuple[int, int]  # height, width
    episodes: Any  # Stored, by index
    labels: dict[int, dict[str, Any]]  # what LeRobot has no place for, of sets that we wrote

    def __len__(self) -> int:
        return len(self.episodes)

    def reader(self, path: Path, index: int) -> EpisodeReader:
        """Open an episode."""
        if not 0 <= index < len(self):
            raise EpisodeError(
                self.root,
                episode_name(index),
                f"found no such episode; expected one of {len(self)}",
            )
        stored = self.episodes[index]
        rows = self._rows(stored, index)
        with reading(stored.table, f"episode {index}", "an episode"), _about_features(stored.table):
            states = self.meaning.states(rows)
            stamps = self._stamps(rows)
            trajectory = Trajectory(
                states=states,
                stamps=stamps,
                commanded=self.meaning.commanded(rows, states),
                calibration=self._calibration(rows),
                task=stored.task,
                provenance=self._provenance(index, rows),
            )
            trajectory = self._labelled(trajectory, index)
        return EpisodeReader(
            path=path, trajectory=trajectory, decode=self._frames(stored, index, rows)
        )

    def _frames(self, stored: Stored, index: int, rows: dict[str, NDArray[Any]]) -> FrameSource:
        """From the video, or from the rows themselves."""
        image = self.meaning.image
        if stored.video is None:
            return Stills(path=stored.table, feature=image, episode=index, size=self.size).decode
        times = stored.start + rows["timestamp"].astype(np.float64)
        return Film(path=stored.video, times=times, rate=self.fps, size=self.size).decode

    def check_gripper(self) -> None:
        """Of some episodes, from all over the set; those that we wrote need no look."""
        if self.labels:
            return
        chosen = np.linspace(0, len(self) - 1, min(_SAMPLE, len(self))).round().astype(int)
        sample = [self._rows(self.episodes[one], int(one)) for one in chosen]
        with _about_features(self.root):
            check_gripper(self.meaning, sample)

    def _rows(self, stored: Stored, index: int) -> dict[str, NDArray[Any]]:
        """The numbers of an episode by feature, a row for each step."""
        known = self.info["features"]
        wanted = [*self.meaning.features, "timestamp", "frame_index"]
        wanted += [name for name in (_SUCCESS, self._extrinsics) if name in known]
        wanted = list(dict.fromkeys(wanted))
        with reading(stored.table, f"episode {index}", f"a parquet file with {', '.join(wanted)}"):
            table = pq.read_table(
                stored.table,
                columns=wanted,
                filters=[("episode_index", "==", index)],
                page_checksum_verification=True,
            )
            rows = {name: _numbers(table.column(name)) for name in wanted}
            counted = rows["frame_index"]
            if len(counted) != stored.length or (counted != np.arange(len(counted))).any():
                raise EpisodeError(
                    stored.table,
                    "frame_index",
                    f"found {len(counted)} rows of episode {index}; expected 0 to "
                    f"{stored.length - 1}, in their order",
                )
            return rows

    def _stamps(self, rows: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Seconds; float32 ones that count frames are taken for what they count."""
        name = self.meaning.stamp
        stamps = rows[name].astype(np.float64)
        if name == "timestamp":
            counted = rows["frame_index"] / self.fps
            stamps = np.where(np.abs(stamps - counted) < 1e-4, counted, stamps)
        return stamps

    @property
    def _extrinsics(self) -> str:
        """As DROID has it: the camera in the base frame, [6]."""
        return f"camera_extrinsics.{self.meaning.image.rpartition('.')[2]}"

    def _calibration(self, rows: dict[str, NDArray[Any]]) -> Calibration | None:
        stand = rows.get(self._extrinsics)
        if stand is None or not np.isfinite(stand).all() or not stand.any():
            return None
        if np.ptp(stand, axis=0).max() > 1e-6:
            return None
        matrix = np.eye(4)
        angles = torch.from_numpy(stand[0, 3:].astype(np.float64))
        matrix[:3, :3] = conventions.euler_to_matrix(angles).numpy()
        matrix[:3, 3] = stand[0, :3]
        height, width = self.size
        return Calibration(width=width, height=height, camera_to_base=matrix)

    def _provenance(self, index: int, rows: dict[str, NDArray[Any]]) -> dict[str, Any]:
        success = {"success": bool(rows[_SUCCESS][-1])} if _SUCCESS in rows else {}
        about = {"source": "LeRobot", "set": self.root.name, "robot": self.info.get("robot_type")}
        return about | {"episode": index, "camera": self.meaning.image} | success

    def _labelled(self, trajectory: Trajectory, index: int) -> Trajectory:
        """With what the file of labels knows of the episode."""
        if not self.labels:
            return trajectory
        file = self.root / LABELS
        label = self.labels.get(index)
        if label is None or label["stamp"] != trajectory.stamps[0]:
            raise EpisodeError(
                file,
                f"episode {index}",
                f"found {'none' if label is None else 'another'}; expected that of stamp "
                f"{trajectory.stamps[0]!r}: the set was changed since it was written (without "
                "this file it reads as anybody's)",
            )
        with reading(file, f"episode {index}", ", ".join(ABOUT)):
            if label["commanded"] and trajectory.commanded is None:
                raise ValueError("that poses were commanded, which the set does not have")
            found = label["calibration"]
            own = {name: getattr(trajectory, name) for name in Trajectory.__dataclass_fields__}
            return Trajectory(
                **own
                | {
                    "commanded": trajectory.commanded if label["commanded"] else None,
                    "calibration": None if found is None else Calibration.from_json(found),
                    "provenance": label["provenance"],
                }
            )


# --- where the episodes of a set lie -----------------------------------------------------


class _EpisodesV3:
    """Of a v3.0 set: a row for each in the parquet files of meta/episodes."""

    def __init__(self, root: Path, info: dict[str, Any], image: str) -> None:
        self.root, self.info, self.image = root, info, image
        self.folder = root / "meta" / "episodes"
        places = ("chunk_index", "file_index")
        columns = ["episode_index", "length", "tasks", *(f"data/{place}" for place in places)]
        self.filmed = info["features"][image]["dtype"] == "video"
        if self.filmed:
            columns += [f"videos/{image}/{one}" for one in (*places, "from_timestamp")]
        self.columns: dict[str, Any] = {name: [] for name in columns}
        files = sorted(self.folder.glob("*/*.parquet"))
        if not files:
            raise EpisodeError(self.folder, "*/*.parquet", "found no such file; expected one")
        for file in files:
            with reading(file, "file", f"parquet with {', '.join(columns)}"):
                table = pq.read_table(file, columns=columns, page_checksum_verification=True)
                for name in columns:
                    self.columns[name] += table.column(name).to_pylist()
        if self.columns["episode_index"] != list(range(len(self))):
            raise EpisodeError(self.folder, "episode_index", "found gaps; expected 0, 1, 2, …")

    def __len__(self) -> int:
        return len(self.columns["episode_index"])

    def __getitem__(self, index: int) -> Stored:
        row = {name: values[index] for name, values in self.columns.items()}

        def place(of: str) -> dict[str, int]:
            return {name: row[f"{of}/{name}"] for name in ("chunk_index", "file_index")}

        video = f"videos/{self.image}"
        with reading(self.folder, f"episode {index}", "whole numbers and paths of info.json"):
            stored = Stored(
                length=int(row["length"]),
                task="; ".join(row["tasks"]),
                table=self.root / self.info["data_path"].format(**place("data")),
                video=None,
            )
            if not self.filmed:
                return stored
            path = self.info["video_path"].format(video_key=self.image, **place(video))
            start = float(row[f"{video}/from_timestamp"])
            return replace(stored, video=self.root / path, start=start)


class _EpisodesV2:
    """Of a v2.1 set: a line for each in meta/episodes.jsonl, and a file for each."""

    def __init__(self, root: Path, info: dict[str, Any], image: str) -> None:
        self.root, self.info, self.image = root, info, image
        self.filmed = info["features"][image]["dtype"] == "video"
        self.file = root / "meta" / "episodes.jsonl"
        with reading(self.file, "file", "a JSON object a line"):
            lines = self.file.read_text().splitlines()
            self.rows = [json.loads(line) for line in lines if line]
            if [row["episode_index"] for row in self.rows] != list(range(len(self.rows))):
                raise EpisodeError(self.file, "episode_index", "found gaps; expected 0, 1, 2, …")

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Stored:
        with reading(self.file, f"episode {index}", "length, tasks, and the paths of info.json"):
            place = {
                "episode_chunk": index // self.info["chunks_size"],
                "episode_index": index,
                "video_key": self.image,
            }
            return Stored(
                length=int(self.rows[index]["length"]),
                task="; ".join(self.rows[index]["tasks"]),
                table=self.root / self.info["data_path"].format(**place),
                video=self.root / self.info["video_path"].format(**place) if self.filmed else None,
            )


_EPISODES: dict[str, Any] = {"v3.0": _EpisodesV3, "v2.1": _EpisodesV2}


def _labels(root: Path) -> dict[int, dict[str, Any]]:
    file = root / LABELS
    if not file.exists():
        return {}
    with reading(file, "file", "a JSON object a line"):
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        return {int(line["episode"]): line for line in lines}


def _numbers(column: Any) -> NDArray[Any]:
    """A column of numbers, or of lists of as many each."""
    if column.null_count:
        raise ValueError(f"{column.null_count} rows without a value")
    values = np.asarray(column.combine_chunks().to_pylist())
    if values.dtype.kind not in "biuf":
        raise ValueError(f"a column of {column.type}, expected numbers, as many in each row")
    return values


@contextmanager
def _about_features(file: Path) -> Iterator[None]:
    try:
        yield
    except FeatureError as error:
        raise EpisodeError(file, error.feature, str(error)) from error
