"""Damaged files give an EpisodeError or the right episode: nothing else, and nothing wrong.

Rounds per kind of file: EPISODE_FUZZ_ROUNDS, 60 unless told otherwise.
"""

import faulthandler
import os
from functools import partial

import numpy as np
import pytest

from vjepa_ros.episodes.bag_writer import write_bag
from vjepa_ros.episodes.droid import write_droid
from vjepa_ros.episodes.files import EpisodeError
from vjepa_ros.episodes.lerobot_writer import write_lerobot
from vjepa_ros.episodes.library import open_episode
from vjepa_ros.episodes.npz import write_npz

ROUNDS = int(os.environ.get("EPISODE_FUZZ_ROUNDS", "60"))

WRITERS = {
    "npz": ("episode.npz", write_npz, ["."]),
    "mcap": ("episode", write_bag, ["episode.mcap", "metadata.yaml"]),
    "sqlite3": ("episode", partial(write_bag, storage="sqlite3"), ["episode.db3"]),
    "droid": (
        "episode",
        write_droid,
        ["trajectory.h5", "recordings/MP4/10000001.mp4", "metadata_*.json"],
    ),
    "lerobot": (
        "episode",
        write_lerobot,
        ["data/*/*.parquet", "meta/episodes/*/*.parquet", "meta/info.json", "videos/*/*/*.mp4"],
    ),
}
CASES = [(kind, file) for kind, (_, _, files) in WRITERS.items() for file in files]
# LeRobot's format has no checksum for pictures.
CHECKED = [case for case in CASES if case != ("lerobot", "videos/*/*/*.mp4")]


def damage(data, rng):
    """A file cut off, or with some of its bytes changed, or with a piece missing or doubled."""
    data = bytearray(data)
    start, stop = sorted(rng.integers(0, len(data), 2))
    match rng.integers(4):
        case 0:
            return data[:start]
        case 1:
            for _ in range(rng.integers(1, 20)):
                data[rng.integers(len(data))] ^= 1 << rng.integers(8)
            return data
        case 2:
            data[start : start + 8] = rng.bytes(8)
            return data
        case _:
            return data[:start] + data[stop:] if rng.integers(2) else data[:stop] + data[start:]


@pytest.fixture
def sound(request, tmp_path, make_episode):
    kind, file = request.param
    name, write, _ = WRITERS[kind]
    episode = make_episode(steps=6, height=24, width=32)
    path = tmp_path / name
    write(path, episode, episode.frames)
    target = path if file == "." else next(path.glob(file))
    return path, target, open_episode(path).load()


@pytest.mark.parametrize("sound", CHECKED, indirect=True, ids="-".join)
def test_a_damaged_file_is_refused_or_read_right(sound):
    path, target, expected = sound
    whole, rng = target.read_bytes(), np.random.default_rng(0)
    refused = right = 0
    for round_ in range(ROUNDS):
        data = bytes(damage(whole, rng))
        target.write_bytes(data)
        faulthandler.dump_traceback_later(60, exit=True)  # a hang
        try:
            found = open_episode(path).load()
        except EpisodeError as error:
            refused += str(path) in str(error)
        else:
            right += 1
            for name in ("states", "stamps", "commanded", "frames"):
                same = np.array_equal(getattr(found, name), getattr(expected, name))
                assert same, f"round {round_}: {name} differ without an error"
        finally:
            faulthandler.cancel_dump_traceback_later()
    assert refused + right == ROUNDS  # every refusal names the file
    assert refused > ROUNDS / 2


def strip_checksums(path):
    """What another recorder would have written: no checksums of ours."""
    (path / "meta" / "vjepa_ros.jsonl").unlink(missing_ok=True)
    for file in [*path.glob("metadata_*.json"), *path.glob("metadata.yaml")]:
        file.write_text(file.read_text().replace("checksums", "unused"))


FOREIGN = [(kind, file) for kind, file in CASES if kind != "npz" and "meta" not in file]


@pytest.mark.parametrize("sound", FOREIGN, indirect=True, ids="-".join)
def test_a_damaged_file_without_checksums_is_refused_or_read_whole(sound, tmp_path):
    path, target, expected = sound
    strip_checksums(path)
    whole, rng = target.read_bytes(), np.random.default_rng(1)
    for _ in range(ROUNDS):
        target.write_bytes(bytes(damage(whole, rng)))
        try:
            found = open_episode(path).load()
        except EpisodeError:
            continue
        assert len(found.frames) == len(found.states) <= len(expected.states) + 6
        assert found.frames.shape[1:] == expected.frames.shape[1:]


def test_any_bytes_under_any_name(tmp_path):
    rng = np.random.default_rng(2)
    for name in ("a.npz", "a.mcap", "a.db3", "bag/metadata.yaml", "droid/trajectory.h5"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        for size in (0, 1, 100, 10_000):
            (tmp_path / name).write_bytes(rng.bytes(size))
            path = tmp_path / name if "." in name.split("/")[0] else (tmp_path / name).parent
            with pytest.raises(EpisodeError, match=path.name):
                open_episode(path).load()
