"""The recordings in test/data, and the real pair where it is there, through every layout."""

from pathlib import Path

import numpy as np
import pytest

from vjepa_ros.episodes.library import find_episodes, layout_of, open_episode, write_episode

DATA = Path(__file__).parents[1] / "data"
REAL_PAIR = Path(__file__).parents[3] / "shared" / "data" / "franka_example_traj.npz"
NAMES = [str(path.relative_to(DATA / "droid")) for path in find_episodes(DATA / "droid")]


def test_they_are_few_and_small():
    kinds = {path.parts[-2] for path in find_episodes(DATA / "bags")}
    assert kinds == {"reach", "grasp", "pick_place"}
    assert sum(file.stat().st_size for file in DATA.rglob("*") if file.is_file()) < 3e6


@pytest.mark.parametrize("name", NAMES)
def test_folder_and_bag_tell_the_same(name):
    droid, bag = open_episode(DATA / "droid" / name), open_episode(DATA / "bags" / name)
    assert [layout_of(one.path) for one in (droid, bag)] == ["droid", "bag"]
    one, other = droid.load(), bag.load()
    np.testing.assert_allclose(one.states[:, :3], other.states[:, :3], atol=1e-9)
    np.testing.assert_allclose(one.actions, other.actions, atol=1e-9)
    np.testing.assert_allclose(one.commanded, other.commanded, atol=1e-9)
    np.testing.assert_allclose(
        one.calibration.project(one.states[:, :3]),
        other.calibration.project(other.states[:, :3]),
        atol=1e-6,
    )
    assert (one.task, one.provenance) == (other.task, other.provenance)
    assert one.provenance["success"]
    assert np.abs(one.frames.astype(int) - other.frames).mean() < 5  # MP4 against JPEG


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_converted_today_replays_as_itself(name, tmp_path):
    reader = open_episode(DATA / "droid" / name)
    write_episode(tmp_path / "bag", "bag", reader)
    one, other = reader.load(), open_episode(tmp_path / "bag").load()
    np.testing.assert_array_equal(one.frames, other.frames)
    np.testing.assert_allclose(one.actions, other.actions, atol=1e-9)


@pytest.mark.skipif(not REAL_PAIR.exists(), reason=f"{REAL_PAIR} is not here")
@pytest.mark.parametrize("layout", ["bag", "droid"])
def test_the_real_pair_goes_the_same_way(layout, tmp_path):
    pair = open_episode(REAL_PAIR)
    write_episode(tmp_path / layout, layout, pair)
    back = open_episode(tmp_path / layout).load()
    np.testing.assert_allclose(back.actions, pair.load().actions, atol=1e-9)
    difference = np.abs(back.frames.astype(int) - pair.load().frames)
    assert difference.max() == 0 if layout == "bag" else difference.mean() < 4
