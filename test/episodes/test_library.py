import numpy as np
import pytest
import torch

from vjepa_ros import conventions
from vjepa_ros.episodes.bag_writer import write_bag
from vjepa_ros.episodes.droid import write_droid
from vjepa_ros.episodes.files import EpisodeError
from vjepa_ros.episodes.library import find_episodes, layout_of, open_episode, write_episode
from vjepa_ros.episodes.npz import write_npz


def test_npz_to_bag_to_droid_to_npz(tmp_path, make_episode):
    """States to 1e-9 all the way round; frames bit for bit until the MP4, which loses a little."""
    episode = make_episode(steps=12, seed=3)
    write_npz(tmp_path / "0.npz", episode, episode.frames)
    write_episode(tmp_path / "1", "bag", open_episode(tmp_path / "0.npz"))
    write_episode(tmp_path / "2", "droid", open_episode(tmp_path / "1"))
    write_episode(tmp_path / "3.npz", "npz", open_episode(tmp_path / "2"))
    write_episode(tmp_path / "4", "bag", open_episode(tmp_path / "3.npz"), storage="sqlite3")

    through = [open_episode(tmp_path / name).load() for name in ("0.npz", "1", "2", "3.npz", "4")]
    for one in through:
        np.testing.assert_allclose(one.stamps, episode.stamps, atol=1e-6)
        np.testing.assert_allclose(one.states[:, :3], episode.states[:, :3], atol=1e-9)
        np.testing.assert_allclose(one.states[:, 6], episode.states[:, 6], atol=1e-9)
        np.testing.assert_allclose(one.actions, episode.actions, atol=1e-9)
        np.testing.assert_allclose(one.commanded, episode.commanded, atol=1e-9)
        turns = [
            conventions.euler_to_matrix(torch.from_numpy(which.states[:, 3:6]))
            for which in (one, episode)
        ]
        np.testing.assert_allclose(turns[0], turns[1], atol=1e-9)
        known = episode.calibration
        np.testing.assert_allclose(one.calibration.camera_to_base, known.camera_to_base, atol=1e-9)
        assert (one.task, one.provenance) == (episode.task, episode.provenance)
    np.testing.assert_array_equal(through[1].frames, episode.frames)
    np.testing.assert_array_equal(through[3].frames, through[2].frames)
    np.testing.assert_array_equal(through[4].frames, through[2].frames)
    assert np.abs(through[2].frames.astype(int) - episode.frames).mean() < 8


def test_a_step_period_keeps_the_frames_of_a_grid(tmp_path, make_episode):
    episode = make_episode(steps=9)
    write_npz(tmp_path / "a.npz", episode, episode.frames)
    halved = open_episode(tmp_path / "a.npz", step_period=0.5)
    np.testing.assert_array_equal(halved.load().frames, episode.frames[::2])
    with pytest.raises(EpisodeError, match=r"a\.npz: step period: found .* expected one every 0.1"):
        open_episode(tmp_path / "a.npz", step_period=0.1)


def test_finds_every_layout_in_a_tree_but_no_left_overs(tmp_path, episode):
    write_npz(tmp_path / "sim" / "b.npz", episode, episode.frames)
    write_npz(tmp_path / "sim" / "a.npz", episode, episode.frames)
    write_droid(tmp_path / "lab" / "success" / "day" / "one", episode, episode.frames)
    write_bag(tmp_path / "bags" / "morning", episode, episode.frames)
    (tmp_path / "bags" / ".noon.partial" / "noon").mkdir(parents=True)
    (tmp_path / "bags" / ".noon.partial" / "noon" / "metadata.yaml").touch()
    (tmp_path / "notes.txt").touch()
    found = [str(path.relative_to(tmp_path)) for path in find_episodes(tmp_path)]
    assert found == ["bags/morning", "lab/success/day/one", "sim/a.npz", "sim/b.npz"]
    assert [layout_of(tmp_path / name) for name in found] == ["bag", "droid", "npz", "npz"]
    assert list(find_episodes(tmp_path / "bags" / "morning")) == [tmp_path / "bags" / "morning"]


@pytest.mark.parametrize(
    ("name", "found"), [("none.npz", "nothing"), ("folder", "a folder"), ("a.txt", r"a \.txt file")]
)
def test_what_is_no_episode_is_named(tmp_path, name, found):
    (tmp_path / "folder").mkdir()
    (tmp_path / "a.txt").touch()
    with pytest.raises(EpisodeError, match=rf"{name}: path: found {found}; expected an \.npz"):
        open_episode(tmp_path / name)
