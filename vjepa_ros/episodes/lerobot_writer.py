"""Episodes to a LeRobot dataset, v3.0, that LeRobot itself opens.

Numbers are written as they are, in float64; pictures as H.264. The features are those of
lerobot/droid_1.0.1 that an episode has, and `stamp`, the seconds of the recording: LeRobot's own
`timestamp` counts frames. What LeRobot has no place for goes into a file of labels beside it.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from vjepa_gate.errors import UserError
from vjepa_ros import conventions
from vjepa_ros.episodes.episode import Trajectory
from vjepa_ros.episodes.files import written_whole
from vjepa_ros.episodes.film import FilmWriter
from vjepa_ros.episodes.lerobot_map import (
    DROID_GRIPPER,
    DROID_IMAGE,
    DROID_POSE,
    DROID_TARGET,
    DROID_TARGET_GRIPPER,
    STAMP,
)
from vjepa_ros.episodes.lerobot_names import ABOUT, INFO, LABELS
from vjepa_ros.episodes.lerobot_stats import Pixels, Totals, stats_of

_POSE_NAMES = ["x", "y", "z", "roll", "pitch", "yaw"]
_FEATURES: dict[str, tuple[str, list[str] | None]] = {  # dtype, names
    DROID_POSE: ("float64", _POSE_NAMES),
    DROID_GRIPPER: ("float64", ["gripper"]),
    DROID_TARGET: ("float64", _POSE_NAMES),
    DROID_TARGET_GRIPPER: ("float64", ["gripper"]),
    STAMP: ("float64", None),
    "timestamp": ("float32", None),
    "frame_index": ("int64", None),
    "episode_index": ("int64", None),
    "index": ("int64", None),
    "task_index": ("int64", None),
}
_PLACE = "chunk-{chunk_index:03d}/file-{file_index:03d}"
_DATA, _EPISODES = f"data/{_PLACE}.parquet", f"meta/episodes/{_PLACE}.parquet"
_VIDEO = f"videos/{{video_key}}/{_PLACE}.mp4"
_FILES_A_CHUNK, _DATA_MB, _VIDEO_MB = 1000, 100, 200  # LeRobot's own
_BUFFERED = 50  # episodes, whose rows in meta/episodes are written at once
_SAME_RATE = 0.1  # of a step period, by which two recordings of a set may differ


def write_lerobot(path: Path, trajectory: Trajectory, frames: Iterable[NDArray[np.uint8]]) -> None:
    """A set of one episode."""
    with written_whole(path) as scratch, LeRobotWriter(scratch) as writer:
        writer.add(trajectory, frames)


class LeRobotWriter:
    """A set that grows by an episode at a time; in memory is one episode without its frames."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tasks: dict[str, int] = {}
        self.frames = self.episodes = 0
        self.rate = 0  # frames a second, in whole numbers as LeRobot has it
        self._period = 0.0
        self._totals = Totals()
        self._table = _Files(root, _DATA)
        self._about = _Files(root, _EPISODES)
        self._film: FilmWriter | None = None
        self._film_number = 0
        self._rows: list[dict[str, Any]] = []  # of meta/episodes, not yet written

    def add(self, trajectory: Trajectory, frames: Iterable[NDArray[np.uint8]]) -> None:
        """Append an episode; frames that were taken in before an error stay, and belong to none."""
        self._check_rate(trajectory)
        pixels = Pixels()
        start, film = None, None
        for frame in frames:
            film = film or self._film_for(frame)
            start = film.length if start is None else start
            film.add(frame)
            pixels.add(frame)
        if film is None or start is None or film.length - start != len(trajectory):
            found = 0 if film is None or start is None else film.length - start
            raise ValueError(f"{found} frames, expected {len(trajectory)}: one for each state")
        columns = self._columns(trajectory)
        stats = {name: stats_of(values) for name, values in columns.items()}
        stats[DROID_IMAGE] = pixels.stats()
        self._totals.add(stats)
        table = pa.table({name: _column(name, columns[name]) for name in _FEATURES})
        place = self._table.write(table, _DATA_MB)
        self._rows.append(self._row(trajectory, place, start / self.rate, stats))
        self._label(trajectory)
        self.episodes += 1
        self.frames += len(trajectory)
        if len(self._rows) == _BUFFERED:
            self._write_rows()

    def close(self) -> None:
        """Write what a reader looks at first."""
        if self._film is None or self.episodes == 0:
            raise ValueError("a set of no episode, expected at least one")
        self._film.close()
        self._write_rows()
        self._table.close()
        self._about.close()
        self._write_tasks()
        meta = self.root / "meta"
        (meta / "stats.json").write_text(json.dumps(self._totals.stats(), indent=1))
        (self.root / INFO).write_text(json.dumps(self._info(self._film), indent=1))

    def __enter__(self) -> Self:
        self.root.mkdir(parents=True)
        (self.root / "meta").mkdir()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        elif self._film is not None:
            self._film.close()

    # --- one episode ---------------------------------------------------------------------

    def _check_rate(self, trajectory: Trajectory) -> None:
        period = trajectory.step_period
        if not self.rate:
            self.rate, self._period = max(1, round(1 / period)), period
        if abs(period / self._period - 1) > _SAME_RATE:
            raise UserError(
                f"an episode has a frame every {period:.3g} s and those before it every "
                f"{self._period:.3g} s; expected one rate in a LeRobot set: give --step-period, "
                "or convert them apart"
            )

    def _film_for(self, frame: NDArray[np.uint8]) -> FilmWriter:
        """The video that the next episode goes into: a new one where the last is full."""
        film = self._film
        if film is not None and film.path.stat().st_size > _VIDEO_MB * 2**20:
            film.close()
            film, self._film_number = None, self._film_number + 1
        if film is None:
            place = _place(self._film_number)
            path = self.root / _VIDEO.format(video_key=DROID_IMAGE, **place)
            size = (frame.shape[0], frame.shape[1]) if self._film is None else self._film.size
            film = self._film = FilmWriter(path, self.rate, size)
        return film

    def _columns(self, trajectory: Trajectory) -> dict[str, NDArray[Any]]:
        steps, states = len(trajectory), trajectory.states
        counted = np.arange(steps)
        task = self.tasks.setdefault(trajectory.task, len(self.tasks))
        targets = _targets(trajectory)
        return {
            DROID_POSE: states[:, :6],
            DROID_GRIPPER: states[:, 6],
            DROID_TARGET: targets[:, :6],
            DROID_TARGET_GRIPPER: targets[:, 6],
            STAMP: trajectory.stamps,
            "timestamp": (counted / self.rate).astype(np.float32),
            "frame_index": counted,
            "episode_index": np.full(steps, self.episodes),
            "index": self.frames + counted,
            "task_index": np.full(steps, task),
        }

    def _row(
        self,
        trajectory: Trajectory,
        place: dict[str, int],
        start: float,
        stats: dict[str, dict[str, Any]],
    ) -> dict[str, Any]:
        video = f"videos/{DROID_IMAGE}"
        return {
            "episode_index": self.episodes,
            "tasks": [trajectory.task],
            "length": len(trajectory),
            **{f"data/{name}": number for name, number in place.items()},
            "dataset_from_index": self.frames,
            "dataset_to_index": self.frames + len(trajectory),
            **{f"{video}/{name}": number for name, number in _place(self._film_number).items()},
            f"{video}/from_timestamp": start,
            f"{video}/to_timestamp": start + len(trajectory) / self.rate,
            **{
                f"stats/{name}/{statistic}": value
                for name, of_feature in stats.items()
                for statistic, value in of_feature.items()
            },
        }

    def _label(self, trajectory: Trajectory) -> None:
        calibration = trajectory.calibration
        label = (
            self.episodes,
            float(trajectory.stamps[0]),
            trajectory.commanded is not None,
            None if calibration is None else calibration.to_json(),
            trajectory.provenance,
        )
        with (self.root / LABELS).open("a") as file:
            file.write(json.dumps(dict(zip(ABOUT, label, strict=True))) + "\n")

    # --- the set -------------------------------------------------------------------------

    def _write_rows(self) -> None:
        if self._rows:
            place = {f"meta/episodes/{name}": n for name, n in self._about.next_place.items()}
            table = pa.Table.from_pylist([row | place for row in self._rows])
            self._about.write(table, _DATA_MB)
            self._rows.clear()

    def _write_tasks(self) -> None:
        """As pandas would, whose index is the text: that is how LeRobot looks it up."""
        columns = [
            {"name": "task_index", "field_name": "task_index", "pandas_type": "int64"},
            {"name": "task", "field_name": "task", "pandas_type": "unicode"},
        ]
        types = ("int64", "object")
        about = {
            "index_columns": ["task"],
            "column_indexes": [],
            "columns": [
                {**column, "numpy_type": kind, "metadata": None}
                for column, kind in zip(columns, types, strict=True)
            ],
            "pandas_version": "2.0.0",
        }
        table = pa.table({"task_index": list(self.tasks.values()), "task": list(self.tasks)})
        table = table.replace_schema_metadata({"pandas": json.dumps(about)})
        pq.write_table(table, self.root / "meta" / "tasks.parquet", write_page_checksum=True)

    def _info(self, film: FilmWriter) -> dict[str, Any]:
        height, width = film.size
        video = {
            "video.height": height,
            "video.width": width,
            **film.about,
            "video.is_depth_map": False,
            "video.fps": self.rate,
            "video.channels": 3,
            "has_audio": False,
        }
        image = {
            "dtype": "video",
            "shape": [height, width, 3],
            "names": ["height", "width", "channels"],
            "info": video,
        }
        numbers = {
            name: {"dtype": dtype, "shape": [len(names or [""])], "names": names}
            for name, (dtype, names) in _FEATURES.items()
        }
        return {
            "codebase_version": "v3.0",
            "robot_type": "franka",
            "total_episodes": self.episodes,
            "total_frames": self.frames,
            "total_tasks": len(self.tasks),
            "chunks_size": _FILES_A_CHUNK,
            "data_files_size_in_mb": _DATA_MB,
            "video_files_size_in_mb": _VIDEO_MB,
            "fps": self.rate,
            "splits": {"train": f"0:{self.episodes}"},
            "data_path": _DATA,
            "video_path": _VIDEO,
            "features": {DROID_IMAGE: image, **numbers},
        }


class _Files:
    """Parquet files one after the other, each up to a size."""

    def __init__(self, root: Path, template: str) -> None:
        self.root, self.template, self.number = root, template, 0
        self._writer: pq.ParquetWriter | None = None
        self._bytes = 0

    @property
    def next_place(self) -> dict[str, int]:
        """Where the next table goes."""
        return _place(self.number)

    def write(self, table: pa.Table, most: int) -> dict[str, int]:
        """Append a table as a row group; tell where it went. `most` is in MB."""
        if self._writer is None:
            path = self.root / self.template.format(**self.next_place)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(path, table.schema, write_page_checksum=True)
            self._bytes = 0
        self._writer.write_table(table)
        self._bytes += table.nbytes
        place = self.next_place
        if self._bytes > most * 2**20:
            self.close()
        return place

    def close(self) -> None:
        """The next table goes into a new file."""
        if self._writer is not None:
            self._writer.close()
            self._writer, self.number = None, self.number + 1


def _place(number: int) -> dict[str, int]:
    chunk, file = divmod(number, _FILES_A_CHUNK)
    return {"chunk_index": chunk, "file_index": file}


def _targets(trajectory: Trajectory) -> NDArray[np.float64]:
    """The poses commanded [T, 7]; where nobody recorded them, those that the arm then had."""
    states = trajectory.states
    reached = np.concatenate((states[1:], states[-1:]))
    if trajectory.commanded is None:
        return reached
    start, told = torch.from_numpy(states[:-1]), torch.from_numpy(trajectory.commanded)
    return np.concatenate((conventions.apply_action(start, told).numpy(), states[-1:]))


def _column(name: str, values: NDArray[Any]) -> pa.Array:
    kind = pa.type_for_alias(_FEATURES[name][0])
    if values.ndim == 1:
        return pa.array(values, kind)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel(), kind), values.shape[1])
