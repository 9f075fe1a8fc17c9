"""LeRobot sets as others have them, made from those that we write."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vjepa_ros.episodes.film import FilmWriter
from vjepa_ros.episodes.lerobot_map import DROID_IMAGE
from vjepa_ros.episodes.lerobot_names import INFO, LABELS
from vjepa_ros.episodes.library import find_episodes, open_episode
from vjepa_ros.images import encode_png

Columns = dict[str, np.ndarray]


def edit_info(root: Path, **changes) -> None:
    info = json.loads((root / INFO).read_text())
    (root / INFO).write_text(json.dumps(info | changes))


def foreign(root: Path, edit: Callable[[Columns], Columns] = lambda columns: columns) -> Path:
    """The set without our labels and stamps, and with other columns of numbers."""
    (root / LABELS).unlink(missing_ok=True)
    info = json.loads((root / INFO).read_text())
    video = {name: about for name, about in info["features"].items() if about["dtype"] == "video"}
    numbers = {}
    for file in root.glob("data/*/*.parquet"):
        table = pq.read_table(file)
        columns = {name: np.array(table.column(name).to_pylist()) for name in table.column_names}
        columns.pop("stamp", None)
        columns = edit(columns)
        pq.write_table(pa.table({name: list(values) for name, values in columns.items()}), file)
        for name, values in columns.items():
            known = info["features"].get(name, {"names": None})
            shape = list(values.shape[1:]) or [1]
            numbers[name] = {**known, "dtype": str(values.dtype), "shape": shape}
    edit_info(root, features=video | numbers)
    return root


def with_stills(root: Path) -> Path:
    """The set with its pictures as PNGs in its rows, and no video; channels first."""
    info = json.loads((root / INFO).read_text())
    about = info["features"][DROID_IMAGE]
    height, width, _ = about["shape"]
    changed = {"dtype": "image", "shape": [3, height, width], "names": None}
    pictures = [
        {"bytes": encode_png(frame), "path": f"frame_{number:06d}.png"}
        for number, frame in enumerate(
            frame for path in find_episodes(root) for frame in open_episode(path).frames()
        )
    ]
    (file,) = root.glob("data/*/*.parquet")
    table = pq.read_table(file)
    pq.write_table(table.append_column(DROID_IMAGE, pa.array(pictures)), file)
    (episodes,) = root.glob("meta/episodes/*/*.parquet")
    table = pq.read_table(episodes)
    kept = [name for name in table.column_names if not name.startswith("videos/")]
    pq.write_table(table.select(kept), episodes)
    edit_info(root, features=info["features"] | {DROID_IMAGE: changed}, video_path=None)
    shutil.rmtree(root / "videos")
    return root


def as_v21(root: Path) -> Path:
    """The set in the layout before: a parquet and an MP4 for each episode, meta in JSON lines."""
    old = root.with_name(f"{root.name}_v21")
    info = json.loads((root / INFO).read_text())
    lines = []
    for index, path in enumerate(find_episodes(root)):
        reader = open_episode(path)
        table = pq.read_table(
            root / "data/chunk-000/file-000.parquet", filters=[("episode_index", "==", index)]
        )
        parquet = old / f"data/chunk-000/episode_{index:06d}.parquet"
        parquet.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, parquet)
        task = reader.trajectory.task
        lines.append({"episode_index": index, "tasks": [task], "length": len(reader)})
        video = old / f"videos/chunk-000/{DROID_IMAGE}/episode_{index:06d}.mp4"
        height, width = info["features"][DROID_IMAGE]["shape"][:2]
        with FilmWriter(video, info["fps"], (height, width)) as film:
            for frame in reader.frames():
                film.add(frame)
    (old / "meta").mkdir()
    shutil.copy(root / LABELS, old / LABELS)
    (old / "meta/episodes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (old / INFO).write_text(
        json.dumps(
            info
            | {
                "codebase_version": "v2.1",
                "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
                "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/"
                "episode_{episode_index:06d}.mp4",
            }
        )
    )
    return old
