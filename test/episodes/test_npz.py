import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vjepa_ros.episodes.files import EpisodeError
from vjepa_ros.episodes.npz import read_npz, write_npz

REAL_PAIR = Path(__file__).parents[3] / "shared/data/franka_example_traj.npz"


def test_png_keeps_every_number(tmp_path, episode):
    path = tmp_path / "a.npz"
    write_npz(path, episode, episode.frames)
    back = read_npz(path).load()
    np.testing.assert_array_equal(back.frames, episode.frames)
    for name in ("states", "stamps", "commanded", "actions"):
        np.testing.assert_array_equal(getattr(back, name), getattr(episode, name))
    np.testing.assert_array_equal(back.truth["cup/position"], episode.truth["cup/position"])
    assert (back.task, back.provenance) == (episode.task, episode.provenance)
    assert back.calibration.to_json() == episode.calibration.to_json()


def test_a_window_decodes_only_its_frames(tmp_path, episode):
    path = tmp_path / "a.npz"
    write_npz(path, episode, episode.frames)
    window = list(read_npz(path).frames(2, 4))
    np.testing.assert_array_equal(window, episode.frames[2:4])


def test_jpeg_is_smaller_and_close(tmp_path, episode):
    png, jpeg = tmp_path / "png.npz", tmp_path / "jpeg.npz"
    write_npz(png, episode, episode.frames)
    write_npz(jpeg, episode, episode.frames, encoding="jpeg")
    assert jpeg.stat().st_size < png.stat().st_size
    error = read_npz(jpeg).load().frames.astype(int) - episode.frames
    assert np.abs(error).mean() < 6


@pytest.mark.skipif(not REAL_PAIR.exists(), reason=f"{REAL_PAIR} is not here")
def test_reads_the_real_pair():
    pair = read_npz(REAL_PAIR).load()
    assert pair.frames.shape == (2, 256, 256, 3)
    assert np.linalg.norm(pair.actions[0, :3]) == pytest.approx(0.128, abs=1e-3)
    assert pair.states[0, 6] == pytest.approx(0.997, abs=1e-3)


def test_a_foreign_archive_lists_the_keys_it_lacks(tmp_path):
    np.savez(tmp_path / "foreign.npz", images=np.zeros(3))
    with pytest.raises(EpisodeError, match=r"foreign\.npz: keys: found images; expected `about`"):
        read_npz(tmp_path / "foreign.npz")


def test_a_batch_of_pairs_is_refused(tmp_path):
    path = tmp_path / "batch.npz"
    observations = np.zeros((3, 2, 8, 8, 3), np.uint8)
    np.savez(path, observations=observations, states=np.zeros((3, 2, 7), np.float32))
    with pytest.raises(EpisodeError, match="observations"):
        read_npz(path)


def test_pickles_are_never_loaded(tmp_path):
    path = tmp_path / "pickle.npz"
    np.savez(path, observations=np.array([{"a": 1}], dtype=object), states=np.zeros((1, 2, 7)))
    with pytest.raises(EpisodeError, match="allow_pickle"):
        read_npz(path)


def test_fewer_frames_than_states_write_nothing(tmp_path, episode):
    with pytest.raises(ValueError, match="4 frames, expected 5"):
        write_npz(tmp_path / "a.npz", episode, episode.frames[:4])
    assert not list(tmp_path.iterdir())


def test_a_failing_write_leaves_the_old_file(tmp_path, episode):
    path = tmp_path / "a.npz"
    write_npz(path, episode, episode.frames)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write_npz(path, replace(episode, provenance={"unjsonable": object()}), episode.frames)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.npz"]


def test_the_archive_is_stored_not_deflated(tmp_path, episode):
    """Pictures are packed already; deflating them again would cost training its time."""
    write_npz(tmp_path / "a.npz", episode, episode.frames)
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert {member.compress_type for member in archive.infolist()} == {zipfile.ZIP_STORED}
