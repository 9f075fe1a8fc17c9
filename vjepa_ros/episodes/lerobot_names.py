"""How a LeRobot set and its episodes are called; needs nothing that reads them.

`lerobot:/path` may be said for a set at /path, and SET/episode_000012 is the thirteenth episode
of a set, though no file has that name.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from vjepa_ros.episodes.files import reading

PREFIX = "lerobot:"
INFO = Path("meta") / "info.json"
LABELS = Path("meta") / "vjepa_ros.jsonl"  # what LeRobot has no place for, a line an episode
ABOUT = ("episode", "stamp", "commanded", "calibration", "provenance")  # in each such line

_EPISODE = re.compile(r"episode_(\d{6,})")


def set_of(path: Path) -> tuple[Path, int | None]:
    """The folder of the set that a path leads to, and which of its episodes, if it says so."""
    path = Path(str(path).removeprefix(PREFIX))
    if found := _EPISODE.fullmatch(path.name):
        return path.parent, int(found[1])
    return path, None


def is_lerobot(path: Path) -> bool:
    """Whether a path leads to a set, or to an episode of one."""
    return str(path).startswith(PREFIX) or (set_of(path)[0] / INFO).exists()


def is_set(path: Path) -> bool:
    """Whether a path leads to a whole set."""
    root, index = set_of(path)
    return index is None and (root / INFO).exists()


def episode_name(index: int) -> str:
    """Of an episode in its set."""
    return f"episode_{index:06d}"


def episodes_of(path: Path) -> Iterator[Path]:
    """The episodes of a set."""
    file = set_of(path)[0] / INFO
    with reading(file, "total_episodes", "how many there are"):
        count = int(json.loads(file.read_text())["total_episodes"])
    yield from (path / episode_name(index) for index in range(count))
