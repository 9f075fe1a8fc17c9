import resource
from pathlib import Path

import numpy as np
import pytest
import torch

from vjepa_ros.episodes.files import EpisodeError
from vjepa_ros.episodes.npz import read_npz
from vjepa_ros.model.preprocessing import Preprocessor
from vjepa_ros.training import data
from vjepa_ros.training.data import EpisodeSet, Share, View, split_episodes, unpack


def test_a_window_is_what_the_episode_holds(folder: Path, episodes: EpisodeSet):
    episode = read_npz(sorted(folder.glob("*.npz"))[2]).load()
    start = int(episodes.first_steps[2]) + 3
    batch = episodes.load([start], 4)
    assert np.array_equal(batch.frames[0], episode.frames[3:7])
    assert batch.states[0].numpy() == pytest.approx(episode.states[3:7], abs=1e-6)
    assert batch.actions[0].numpy() == pytest.approx(episode.actions[3:6], abs=1e-6)
    assert batch.commanded[0].numpy() == pytest.approx(episode.commanded[3:6], abs=1e-6)
    place = episode.truth["cube/position"][3:7]
    assert batch.objects[0, :, :3].numpy() == pytest.approx(place, abs=1e-6)
    assert batch.objects[0, :, 3].isnan().all()  # nobody recorded whether it was held


def test_pixels_are_those_of_the_preprocessor(folder: Path, episodes: EpisodeSet):
    frames = read_npz(sorted(folder.glob("*.npz"))[0]).load().frames[:3]
    expected = Preprocessor(32)(torch.from_numpy(frames))
    assert torch.allclose(episodes.load([0], 3).pixels()[0], expected, atol=1e-5)


def test_windows_never_cross_from_one_episode_into_the_next(episodes: EpisodeSet):
    starts = episodes.draw(2000, 5, np.random.default_rng(0))
    within = starts - episodes.first_steps[starts // 12]
    assert set(within) == set(range(12 - 5 + 1))
    assert len(set(starts)) == 6 * 8  # and each of them is drawn


def test_windows_far_from_the_object_can_be_drawn_more_often(
    episodes: EpisodeSet, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(data, "FAR", 0.18)  # of which there are some here, and not all are

    def odds(far: int) -> float:
        batch = episodes.load(episodes.draw(4000, 2, np.random.default_rng(0), far), 1)
        apart = (batch.objects[:, 0, :3] - batch.states[:, 0, :3]).norm(dim=1)
        share = float((apart > data.FAR).float().mean())
        return share / (1 - share)

    assert odds(3) / odds(1) == pytest.approx(3, rel=0.2)


def test_a_window_longer_than_any_episode_is_refused(episodes: EpisodeSet):
    with pytest.raises(ValueError, match="has 12 steps, a training window needs 13"):
        episodes.draw(1, 13, np.random.default_rng(0))


def test_a_stream_begun_later_gives_the_same_batches(episodes: EpisodeSet):
    def stream(steps: range) -> list[torch.Tensor]:
        batches = episodes.stream(batch=4, frames=3, seed=7, steps=steps)
        return [batch.states for batch in batches]

    whole, rest = stream(range(8)), stream(range(5, 8))
    assert all(torch.equal(*pair) for pair in zip(whole[5:], rest, strict=True))
    assert not torch.equal(whole[0], whole[1])


def test_two_processes_share_each_batch(episodes: EpisodeSet):
    def states(share: Share) -> torch.Tensor:
        steps = episodes.stream(batch=4, frames=3, seed=7, steps=range(1), share=share)
        return next(iter(steps)).states

    parts = [states(Share(rank, 2)) for rank in range(2)]
    assert torch.equal(torch.cat(parts), states(Share()))
    with pytest.raises(ValueError, match="batch of 4 does not divide into 3 processes"):
        states(Share(0, 3))


def test_memory_does_not_grow_with_what_is_read(episodes: EpisodeSet):
    def read(steps: int) -> int:
        for _ in episodes.stream(batch=16, frames=4, seed=0, steps=range(steps)):
            pass
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    before = read(20)
    read_bytes = 400 * 16 * 4 * 32 * 32 * 3
    assert read(400) - before < read_bytes / 1024 / 4


def test_held_out_episodes_are_others(folder: Path):
    kept, held_out = split_episodes(folder, 0.34)
    assert len(kept) == 4
    assert len(held_out) == 2
    assert not set(kept) & set(held_out)
    assert split_episodes(folder, 0.0)[1] == []


def test_no_episodes_is_an_error_that_names_the_folder(tmp_path: Path):
    with pytest.raises(EpisodeError, match="found no episodes"):
        split_episodes(tmp_path, 0.1)


def test_what_is_unpacked_is_used_again_until_an_episode_changes(tmp_path: Path, folder: Path):
    path = tmp_path / "one.npz"
    path.write_bytes(sorted(folder.glob("*.npz"))[0].read_bytes())
    first = unpack([path], View(size=32), tmp_path / "unpacked").frames_file
    made = first.stat().st_mtime_ns
    again = unpack([path], View(size=32), tmp_path / "unpacked").frames_file
    assert (again, again.stat().st_mtime_ns) == (first, made)
    path.write_bytes(sorted(folder.glob("*.npz"))[1].read_bytes())
    assert unpack([path], View(size=32), tmp_path / "unpacked").frames_file != first


def test_a_damaged_episode_is_named(tmp_path: Path):
    (tmp_path / "bad.npz").write_bytes(b"not an archive")
    with pytest.raises(EpisodeError, match=r"bad\.npz"):
        unpack([tmp_path / "bad.npz"], View(size=32), tmp_path / "unpacked")
    assert not list((tmp_path / "unpacked").glob("*"))
