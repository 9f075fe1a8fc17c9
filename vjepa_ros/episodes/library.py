"""Opening, finding and writing episodes whatever their layout."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from vjepa_ros.episodes.bag import read_bag
from vjepa_ros.episodes.bag_writer import write_bag
from vjepa_ros.episodes.droid import read_droid, write_droid
from vjepa_ros.episodes.episode import EpisodeReader
from vjepa_ros.episodes.files import EpisodeError, reading
from vjepa_ros.episodes.lerobot_map import FeatureMap
from vjepa_ros.episodes.lerobot_names import INFO, episodes_of, is_lerobot, is_set, set_of
from vjepa_ros.episodes.npz import read_npz, write_npz
from vjepa_ros.extras import extra

Layout = Literal["npz", "bag", "droid", "lerobot"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
_WRITERS: dict[Layout, Any] = {"npz": write_npz, "bag": write_bag, "droid": write_droid}
_STORAGE_FILES = (".mcap", ".db3")


def open_episode(
    path: Path | str,
    *,
    step_period: float | None = None,
    camera: str = "left",
    topics: Mapping[str, Any] | None = None,
    features: FeatureMap | None = None,
) -> EpisodeReader:
    """The episode at a path: an npz, a bag (folder, .mcap or .db3), a DROID folder, or one of a
    LeRobot set (SET/episode_000000).

    With a step period the frames nearest to that grid are kept, else all of them. `camera`
    chooses one of DROID's, `topics` are settings of BagTopics instead of a bag's own, `features`
    says what those of a LeRobot set mean.
    """
    path = Path(path)
    match layout_of(path):
        case "npz":
            reader = read_npz(path)
        case "bag":
            reader = read_bag(path, topics)
        case "droid":
            reader = read_droid(path, camera)
        case "lerobot":
            with extra("lerobot", f"{path}: reading a LeRobot set"):
                from vjepa_ros.episodes.lerobot import read_lerobot
            reader = read_lerobot(path, features)
        case None:
            raise EpisodeError(
                path,
                "path",
                f"found {_kind(path)}; expected an .npz, a bag (a folder with metadata.yaml, or an "
                ".mcap or .db3 file), a DROID folder (with trajectory.h5) or a LeRobot set (with "
                "meta/info.json)",
            )
    if step_period is None:
        return reader
    with reading(path, "step period", f"a frame every {step_period:g} s"):
        return reader.every(step_period)


def write_episode(path: Path, layout: Layout, reader: EpisodeReader, **options: Any) -> None:
    """Write what a reader gives; the options are those of `write_npz`, `write_bag`, …"""
    if layout == "lerobot":
        with extra("lerobot", f"{path}: writing a LeRobot set"):
            from vjepa_ros.episodes.lerobot_writer import write_lerobot
        write_lerobot(path, reader.trajectory, reader.frames())
    else:
        _WRITERS[layout](path, reader.trajectory, reader.frames(), **options)


def layout_of(path: Path) -> Layout | None:
    """What a file or folder looks like from outside; None where it is no episode."""
    if is_lerobot(path):
        return "lerobot"
    if path.is_dir():
        if (path / "metadata.yaml").exists():
            return "bag"
        if (path / "trajectory.h5").exists() or any(path.glob("metadata_*.json")):
            return "droid"
        return None
    if path.suffix == ".npz" and path.exists():
        return "npz"
    return "bag" if path.suffix in _STORAGE_FILES and path.exists() else None


def find_episodes(root: Path) -> Iterator[Path]:
    """The episodes at or under a path, in the order of their names.

    What begins with a dot is left alone: a write that was killed leaves such a folder.
    """
    if is_set(root):
        yield from episodes_of(root)
        return
    if layout_of(root) is not None:
        yield root
        return
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in [*subfolders]:
            if layout_of(Path(folder, name)) is not None:
                subfolders.remove(name)
                yield from find_episodes(Path(folder, name))
        yield from (
            Path(folder, name)
            for name in sorted(files)
            if not name.startswith(".") and layout_of(Path(folder, name)) is not None
        )


def written_at(path: Path) -> int:
    """When the files of an episode were last written, in nanoseconds; of a LeRobot set, the set."""
    file = set_of(path)[0] / INFO if is_lerobot(path) else path
    return file.stat().st_mtime_ns


def _kind(path: Path) -> str:
    if not path.exists():
        return "nothing"
    return "a folder" if path.is_dir() else f"a {path.suffix or 'nameless'} file"
